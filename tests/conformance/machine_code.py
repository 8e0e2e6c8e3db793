"""A hypervisor's own machine code, run by Unicorn on the memory of a machine that the simulation laid out.

A run starts at a function's entry on a CPU's stack and ends at its return. What lies outside of the logic that is
compared is a stub: the call is recorded, and it returns. A run may also go instruction by instruction, so that others
act in between. An access to memory that is not mapped ends it.

Limits: one CPU, so nothing is learned of memory ordering; the code is as before it was patched at boot.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from unicorn import (
    UC_ARCH_X86,
    UC_HOOK_CODE,
    UC_HOOK_MEM_READ,
    UC_HOOK_MEM_WRITE,
    UC_HOOK_TLB_FILL,
    UC_MODE_64,
    UC_PROT_ALL,
    Uc,
    UcError,
)
from unicorn.unicorn_const import UC_TLB_VIRTUAL
from unicorn.x86_const import (
    UC_X86_REG_EFLAGS,
    UC_X86_REG_RAX,
    UC_X86_REG_RCX,
    UC_X86_REG_RDI,
    UC_X86_REG_RDX,
    UC_X86_REG_RIP,
    UC_X86_REG_RSI,
    UC_X86_REG_RSP,
)

from sim_backend.memory.memory import PAGE, Memory

Event = tuple[Any, ...]
"""("store", address, bytes before, bytes after) or (name of a function, arguments)."""

ARGUMENTS = (UC_X86_REG_RDI, UC_X86_REG_RSI, UC_X86_REG_RDX, UC_X86_REG_RCX)
TOLD = 3
"""How many arguments of a stub are told."""
INTERRUPTS_ON, ALWAYS_ONE = 1 << 9, 1 << 1
RET = b"\xc3"
STAY = b"\x90" * 16
VMX_SUCCEEDS = bytes.fromhex("4885e4")
"""`test %rsp, %rsp` clears CF and ZF: how `vmread` and `vmwrite`, which Unicorn lacks, say that all is well."""
MOST_INSTRUCTIONS = 100_000
"""A call that takes more is held to be endless."""


def change(address: int, old: bytes, new: bytes) -> Iterator[Event]:
    """What a store changes, eight aligned bytes at a time, without the bytes that stay: no two ways to write it."""
    place = 0
    while place < len(new):
        end = min(len(new), place + 8 - (address + place) % 8)
        low, high = place, end
        while low < high and old[low] == new[low]:
            low += 1
        while high > low and old[high - 1] == new[high - 1]:
            high -= 1
        if low < high:
            yield "store", address + low, old[low:high], new[low:high]
        place = end


class Fails(Exception):
    """The code faults, or does not end."""


@dataclass
class Outcome:
    """What one call did: its return value (all of RAX), what happened in order, and the pages that were written."""

    result: int
    events: list[Event]
    pages: set[int]
    interrupts_on: bool = True


class MachineCode(ABC):
    """Code on a memory. What derives from it says where things are, then calls `start`.

    Args:
        memory: that of the machine; all states differ from it in some pages.
        end: the virtual address that functions return to: code that is never run otherwise.

    Attributes:
        stubs: by virtual address, the names of functions that are not run.
        answers: what stubs return, of their arguments.
    """

    def __init__(self, memory: Memory, end: int) -> None:
        self.memory = memory
        self.end = end
        self.stubs: dict[int, str] = {}
        self.answers: dict[str, Callable[..., int]] = {}
        self._pages: dict[int, int] = {}
        self._dirty: set[int] = set()
        self._events: list[Event] = []
        self._stack = range(0)
        self._watched: Mapping[int, int] = {}

    @abstractmethod
    def translate(self, page: int) -> int | None:
        """The physical address of a page's virtual one; None if nothing is mapped there."""

    @abstractmethod
    def stack(self, cpu: int) -> range:
        """A CPU's stack, by physical addresses, without what stands on top of it."""

    @abstractmethod
    def virtual(self, name: str) -> int:
        """A function's address, or a variable's. There must be one of that name."""

    @abstractmethod
    def to_virtual(self, physical: int) -> int:
        """The virtual address by which code reaches a place in memory."""

    @abstractmethod
    def extent(self, function: str) -> tuple[int, int]:
        """A function's virtual address and its size."""

    @abstractmethod
    def where(self, address: int) -> str:
        """The function that a virtual address is in."""

    def start(self) -> None:
        """Take the memory as it is now for what all states differ from."""
        self._base = self.content()
        self._buffer = (ctypes.c_char * len(self._base)).from_buffer_copy(self._base)
        self._ram = memoryview(self._buffer).cast("B")
        self._unicorn = self.processor()

    def content(self) -> bytearray:
        """All bytes from physical address 0 on."""
        return bytearray(self.memory.read(0, self.memory.size))

    def disassembly(self, function: str) -> list[tuple[str, str]]:
        """Mnemonic and operands of a function's instructions, in the order in which they lie."""
        return [(mnemonic, operands) for _, _, mnemonic, operands in self.instructions(function)]

    def instructions(self, function: str) -> list[tuple[int, int, str, str]]:
        """Virtual address, size, mnemonic and operands of a function's instructions."""
        start, size = self.extent(function)
        found = list(Cs(CS_ARCH_X86, CS_MODE_64).disasm_lite(self.code_at(start, size), start))
        assert sum(each[1] for each in found) == size
        return found

    @abstractmethod
    def code_at(self, address: int, size: int) -> bytes:
        """Code at a virtual address."""

    def load(self, memory: Memory, pages: Iterable[int]) -> None:
        """Take a memory that differs from the machine's in these pages only."""
        for page in self._dirty:
            self._put(page, self._base[page * PAGE : page * PAGE + PAGE])
        self._dirty = set(pages)
        for page in self._dirty:
            self._put(page, memory.read(page * PAGE, PAGE))

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the memory that the code ran on."""
        return bytes(self._ram[address : address + size])

    def call(self, function: str, *arguments: int, cpu: int = 0, interrupts_on: bool = True) -> Outcome:
        """Run a function from its entry to its return. Arguments that are addresses are virtual.

        Raises:
            Fails: it faults, or takes too long.
        """
        self.enter(function, *arguments, cpu=cpu, interrupts_on=interrupts_on)
        self._events = []
        try:
            self._unicorn.emu_start(self.virtual(function), 0, count=MOST_INSTRUCTIONS)
        except UcError as error:
            raise Fails(f"{function} fails at {self._where()}: {error}") from error
        if not self.ended:
            raise Fails(f"{function} does not end, is at {self._where()}")
        return Outcome(self.result, self._events, set(self._dirty), self.interrupts_on)

    # Piece by piece, so that others may act in between.

    def enter(
        self, function: str, *arguments: int, cpu: int = 0, interrupts_on: bool = True, below: int | None = None
    ) -> None:
        """Have a function's first instruction be the next one. `below`: a place on the stack that is in use."""
        self._stack = self.stack(cpu)
        self._dirty.update(range(self._stack.start // PAGE, self._stack.stop // PAGE + 1))
        top = ((below or self._stack.stop) & -16) - 0x108
        self._ram[top : top + 8] = self.end.to_bytes(8, "little")
        cpu_state = self._unicorn
        for register, value in zip(ARGUMENTS, arguments, strict=False):
            cpu_state.reg_write(register, value)
        cpu_state.reg_write(UC_X86_REG_RIP, self.virtual(function))
        cpu_state.reg_write(UC_X86_REG_RSP, self.to_virtual(top))
        cpu_state.reg_write(UC_X86_REG_EFLAGS, ALWAYS_ONE | (INTERRUPTS_ON if interrupts_on else 0))

    def instruction(self) -> list[Event]:
        """Run one instruction; what happened.

        Raises:
            Fails: it faults.
        """
        self._events = []
        try:
            self._unicorn.emu_start(self._unicorn.reg_read(UC_X86_REG_RIP), 0, count=1)
        except UcError as error:
            raise Fails(f"at {self._where()}: {error}") from error
        return self._events

    def registers(self) -> Any:
        """All registers, to go on from later."""
        return self._unicorn.context_save()

    def go_back_to(self, registers: Any, cpu: int) -> None:
        """Go on from these registers, on the stack of this CPU."""
        self._unicorn.context_restore(registers)
        self._stack = self.stack(cpu)

    def write(self, address: int, data: bytes) -> None:
        """Store what somebody else stores."""
        self._dirty.update((address // PAGE, (address + len(data) - 1) // PAGE))
        self._ram[address : address + len(data)] = data

    def watch(self, parts: Mapping[int, int]) -> None:
        """Tell each access to these bytes as well, as ("touch", part): the part of memory that the byte belongs to."""
        self._watched = parts
        for kind in (UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE):
            self._unicorn.hook_add(kind, self._touched, begin=min(parts), end=max(parts))

    @property
    def ended(self) -> bool:
        """Whether the function has returned."""
        return bool(self._unicorn.reg_read(UC_X86_REG_RIP) == self.end)

    @property
    def result(self) -> int:
        """What it returned."""
        return int(self._unicorn.reg_read(UC_X86_REG_RAX))

    @property
    def interrupts_on(self) -> bool:
        """Whether the CPU takes interrupts."""
        return bool(self._unicorn.reg_read(UC_X86_REG_EFLAGS) & INTERRUPTS_ON)

    @property
    def stack_used(self) -> int:
        """Where the part of the stack that is in use begins."""
        top = self._unicorn.reg_read(UC_X86_REG_RSP)
        return self._pages[top & -PAGE] + top % PAGE

    @property
    def pages(self) -> set[int]:
        """The pages in which memory may differ from what it was at the start."""
        return set(self._dirty)

    def processor(self) -> Uc:
        """A CPU on the memory, with the stubs."""
        unicorn = Uc(UC_ARCH_X86, UC_MODE_64)
        unicorn.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
        unicorn.mem_map_ptr(0, len(self._ram), UC_PROT_ALL, ctypes.addressof(self._buffer))
        unicorn.hook_add(UC_HOOK_TLB_FILL, self._fill)
        unicorn.hook_add(UC_HOOK_MEM_WRITE, self._written)
        unicorn.hook_add(UC_HOOK_CODE, self._returned, begin=self.end, end=self.end)
        for address in self.stubs:
            unicorn.hook_add(UC_HOOK_CODE, self._called, begin=address, end=address)
        return unicorn

    def stored(self, address: int, size: int, value: int) -> None:
        """The code stores; not to its stack."""
        self._dirty.update((address // PAGE, (address + size - 1) // PAGE))
        new = (value & (1 << size * 8) - 1).to_bytes(size, "little")
        self._events += change(address, self.read(address, size), new)

    def _fill(self, _: Uc, virtual: int, __: int, entry: Any, ___: object) -> bool:
        page = virtual & -PAGE
        if page not in self._pages:
            physical = self.translate(page)
            if physical is None:
                return False
            self._pages[page] = physical
        entry.paddr = self._pages[page]
        entry.perms = UC_PROT_ALL
        return True

    def _written(self, _: Uc, __: int, address: int, size: int, value: int, ___: object) -> None:
        if address not in self._stack:
            self.stored(address, size, value)

    def _touched(self, _: Uc, __: int, address: int, *___: object) -> None:
        if address in self._watched:
            self._events.append(("touch", self._watched[address]))

    def _returned(self, unicorn: Uc, *_: object) -> None:
        unicorn.emu_stop()

    def _called(self, unicorn: Uc, address: int, _: int, __: object) -> None:
        name = self.stubs[address]
        arguments = [unicorn.reg_read(register) for register in ARGUMENTS[:TOLD]]
        self._events.append((name, *arguments))
        if name in self.answers:
            unicorn.reg_write(UC_X86_REG_RAX, self.answers[name](*arguments))

    def _put(self, page: int, content: bytes) -> None:
        self._ram[page * PAGE : page * PAGE + PAGE] = content

    def _where(self) -> str:
        address = self._unicorn.reg_read(UC_X86_REG_RIP)
        return f"{self.where(address)} ({address:#x})"
