"""What memory held before an instruction stored to it: told by the instruction, and by the registers that it left.

The atomic instructions with which Xen changes what CPUs share leave what they found in a register or a flag.

Source: SDM volume 2: 2.1 and 2.2.1 (ModRM, SIB, REX), BTR, BTS, CMPXCHG, XCHG.
"""

from __future__ import annotations

from collections.abc import Mapping

from structs.frozen import frozen

LONGEST = 15
"""Bytes of an instruction."""
WORD = 8
LOCK, REX, WIDE, ESCAPE = 0xF0, 0x40, 8, 0x0F
EXCHANGE = 0x87
COMPARE_AND_EXCHANGE, SET_BIT, RESET_BIT, BIT_BY_NUMBER = 0xB1, 0xAB, 0xB3, 0xBA
SET, RESET = 5, 6
"""BTS and BTR among those of BIT_BY_NUMBER, by ModRM's middle field."""
CARRY = 1
REGISTERS = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
NAMES = frozenset((*REGISTERS, "eflags"))
"""The registers that are asked for, as they are after the instruction."""


@frozen
class Found:
    """`value` was found in the bits of `mask`, of the aligned 8 bytes that were stored to."""

    mask: int
    value: int


def found_before(code: bytes, registers: Mapping[str, int], address: int) -> Found | None:
    """What the instruction that `code` ends with found at `address`.

    Args:
        registers: those of NAMES, after it.
        address: where it is said to have stored; the instruction is one that stores there.

    Returns:
        None if it is none that tells. A byte right before it that looks like a prefix is taken for one.
    """
    for length in range(min(LONGEST, len(code)), 2, -1):
        if found := _Decoder(code[-length:], registers).found(address):
            return found
    return None


class _Decoder:
    """One instruction, that is all of these bytes."""

    def __init__(self, code: bytes, registers: Mapping[str, int]) -> None:
        self._code = code
        self._registers = registers
        self._at = 0
        self._rex = 0

    def found(self, address: int) -> Found | None:
        """As `found_before`; None if these bytes are no such instruction."""
        try:
            return self._found(address)
        except IndexError:
            return None

    def _found(self, address: int) -> Found | None:
        if self._code[0] == LOCK:
            self._at = 1
        if self._code[self._at] & 0xF0 == REX:
            self._rex = self._next()
        escaped = self._code[self._at] == ESCAPE
        self._at += escaped
        opcode = self._next()
        known = (COMPARE_AND_EXCHANGE, SET_BIT, RESET_BIT, BIT_BY_NUMBER) if escaped else (EXCHANGE,)
        if opcode not in known:
            return None
        middle, place = self._operand()
        size = 8 if self._rex & WIDE else 4
        number = 0
        if opcode == BIT_BY_NUMBER:
            number = self._next()
        elif opcode in (SET_BIT, RESET_BIT):
            # The bit may lie anywhere from the operand on.
            number = self._register(middle | (self._rex & 4) << 1) & (1 << 8 * size) - 1
            number -= (number >> 8 * size - 1) << 8 * size
            place = None if place is None else place + number // (8 * size) * size
        if self._at != len(self._code) or place is None or (place - address) % 4096:
            return None
        shift = 8 * (address % WORD)
        if opcode in (EXCHANGE, COMPARE_AND_EXCHANGE):
            mask = (1 << 8 * size) - 1
            old = self._register(middle | (self._rex & 4) << 1 if opcode == EXCHANGE else 0)
            return Found(mask << shift, (old & mask) << shift)
        if opcode == BIT_BY_NUMBER and middle not in (SET, RESET):
            return None
        bit = shift + number % (8 * size)
        return Found(1 << bit, (self._registers["eflags"] & CARRY) << bit)

    def _next(self) -> int:
        self._at += 1
        return self._code[self._at - 1]

    def _register(self, number: int) -> int:
        return self._registers[REGISTERS[number]]

    def _operand(self) -> tuple[int, int | None]:
        """ModRM's middle field, and the address of the operand; None if that is no memory, or lies beside the code."""
        byte = self._next()
        mode, middle, base = byte >> 6, byte >> 3 & 7, byte & 7
        if mode == 3 or (mode == 0 and base == 5):
            return middle, None
        index = 0
        if base == 4:
            sib = self._next()
            base = sib & 7
            if (number := sib >> 3 & 7 | (self._rex & 2) << 2) != 4:
                index = self._register(number) << (sib >> 6)
            if mode == 0 and base == 5:
                return middle, None
        size = {0: 0, 1: 1, 2: 4}[mode]
        displacement = int.from_bytes(self._code[self._at : self._at + size], "little", signed=True)
        self._at += size
        return middle, self._register(base | (self._rex & 1) << 3) + index + displacement
