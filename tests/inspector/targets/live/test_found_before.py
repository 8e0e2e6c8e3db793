"""What is told of memory before an instruction, against a processor (Unicorn) that executes it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unicorn import UC_ARCH_X86, UC_MODE_64, Uc, x86_const

from inspector.targets.live.found_before import LONGEST, NAMES, REGISTERS, Found, found_before

CODE, DATA = 0x100000, 0x200000
AT = DATA + 0x800
SIZE = 0x1000
NUMBERS = ("rsi", "rcx", "r9")
"""Hold the bit's number where one does."""
BASE = AT - 0x100

INSTRUCTIONS = {
    "lock bts [rdi+0x680], esi": ("f00fabb780060000", 0x680, "rsi", 4),
    "lock bts [rdx], ecx": ("f00fab0a", 0, "rcx", 4),
    "lock bts [r8+8], r9": ("f04d0fab4808", 8, "r9", 8),
    "lock btr [rdi+0x680], esi": ("f00fb3b780060000", 0x680, "rsi", 4),
    "lock bts dword [rdi+0x6a0], 0": ("f00fbaafa006000000", 0x6A0, "", 4),
    "lock btr dword [rsi+0x6a0], 1": ("f00fbab6a006000001", 0x6A0, "", 4),
    "lock btr dword [rax+r15*8+4], 9": ("f0420fba74f80409", 4, "", 4),
    "lock cmpxchg [rdi+0x6a0], rdx": ("f0480fb197a0060000", 0x6A0, "", 8),
    "lock cmpxchg [rbx], edx": ("f00fb113", 0, "", 4),
    "xchg [rdi+0x688], rdx": ("48879788060000", 0x688, "", 8),
    "xchg [r12+0x10], r13": ("4d876c2410", 0x10, "", 8),
    "xchg [rbp+4], eax": ("874504", 4, "", 4),
}
"""As an assembler makes them, where they store from BASE on, the register with the bit's number, the operand's size."""


def registers(uc: Uc) -> dict[str, int]:
    return {name: uc.reg_read(getattr(x86_const, f"UC_X86_REG_{name.upper()}")) for name in NAMES}


@pytest.mark.parametrize("words", INSTRUCTIONS)
@given(seed=st.integers(0, 2**32), number=st.integers(-64, 255), zero=st.booleans(), noise=st.booleans())
def test_it_is_what_was_there(words: str, seed: int, number: int, zero: bool, noise: bool) -> None:
    digits, offset, register, size = INSTRUCTIONS[words]
    code, random = bytes.fromhex(digits), Random(seed)
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(CODE, SIZE)
    uc.mem_map(DATA, SIZE)
    uc.mem_write(CODE, code)
    before = bytes(SIZE) if zero else random.randbytes(SIZE)
    uc.mem_write(DATA, before)
    for name in REGISTERS:
        used = name in words.partition("[")[2].partition("]")[0]
        value = BASE if used and name != "r15" else 0 if zero or used else random.getrandbits(64)
        uc.reg_write(getattr(x86_const, f"UC_X86_REG_{name.upper()}"), number if name == register else value)
    uc.emu_start(CODE, CODE + len(code))
    after = bytes(uc.mem_read(DATA, SIZE))
    address = BASE + offset + (number // (8 * size) * size if register else 0)
    # what comes before the instruction does not matter, but that a prefix there would be taken for its own
    earlier = random.randbytes(LONGEST) + b"\xc3" if noise else b"\x90" * LONGEST
    found = found_before((earlier + code)[-LONGEST:], registers(uc), address)
    assert found
    at = (address & -8) - DATA
    old, new = (int.from_bytes(raw[at : at + 8], "little") for raw in (before, after))
    assert new & ~found.mask | found.value == old
    assert before[:at] + before[at + 8 :] == after[:at] + after[at + 8 :]


def test_what_tells_nothing() -> None:
    values = dict.fromkeys(NAMES, AT)
    for code in ("4889042", "8802", "0f87aabbccdd", "f00fba6000"):
        assert found_before(bytes.fromhex(code.ljust(len(code) + len(code) % 2, "0")), values, AT) is None
    # stores, but elsewhere
    assert found_before(bytes.fromhex("488710"), values, AT + 8) is None
    assert found_before(bytes.fromhex("488710"), values, AT) == Found(2**64 - 1, AT)
