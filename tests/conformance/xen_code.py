"""Xen's own machine code, run by Unicorn on the memory of a machine that the simulation laid out.

Text and constants of a xen-syms are put where the layout maps Xen's image, all data is the simulation's, and addresses
are translated by the layout's own page tables. A run starts at a function's entry on a CPU's stack and ends at its
return. What lies outside of the posted-interrupt logic (the scheduler, the commands to the local APIC) is a stub: the
call is recorded, and it returns. A run may also go instruction by instruction, so that others act in between.

Limits: one CPU, so nothing is learned of memory ordering; the code is as before Xen's patching at boot; a release build
has no assertions.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from elftools.elf.elffile import ELFFile
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

from sim_backend.layout.cpus import STACK_SIZE
from sim_backend.layout.layout import Layout
from sim_backend.layout.page_tables import translate
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE, Memory

Event = tuple[Any, ...]
"""("store", address, bytes before, bytes after) or (name of a function, arguments)."""

ARGUMENTS = (UC_X86_REG_RDI, UC_X86_REG_RSI, UC_X86_REG_RDX)
APIC = 0xFEE0_0000
EOI = 0xB0
FIXMAP = range(0xFFFF_82CF_FFF0_0000, 0xFFFF_82D0_0000_0000)
"""Where Xen maps the local APIC's registers; the simulation maps nothing there."""
X2APIC_EOI = 0x80B
INTERRUPTS_ON, ALWAYS_ONE = 1 << 9, 1 << 1
RET = b"\xc3"
END = "_start"
"""Where functions return to: code that is never run otherwise, replaced by a jump to itself."""
STAY = b"\x90" * 16
VMX_SUCCEEDS = bytes.fromhex("4885e4")
"""`test %rsp, %rsp` clears CF and ZF: how `vmread` and `vmwrite`, which Unicorn lacks, say that all is well."""
VMX_USERS = ("vmx_vmenter_helper",)
INTERRUPTS = ("pi_wakeup_interrupt", "pi_notification_interrupt")
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


class XenCode:
    """The code of one build, on the memory of one layout.

    Args:
        symbols: the build's xen-syms.
        layout: a machine of that build. The file's text is put into its memory.
        stubs: functions that are not run.

    Attributes:
        answers: what stubs return, of their arguments.
    """

    def __init__(self, symbols: Path, layout: Layout, stubs: Iterable[str]) -> None:
        self.layout = layout
        with symbols.open("rb") as file:
            elf = ELFFile(file)
            table = elf.get_section_by_name(".symtab")
            entries = list(table.iter_symbols())
            self._symbols = {entry.name: (entry["st_value"], entry["st_size"]) for entry in entries}
            self._times = Counter(entry.name for entry in entries)
            assert bytes.fromhex(layout.profile.build_id) in elf.get_section_by_name(".note.gnu.build-id").data()
            for name in (".text", ".rodata"):
                section = elf.get_section_by_name(name)
                place = layout.physical(section["sh_addr"])
                assert not any(layout.memory.read(place, section["sh_size"])), f"the simulation has data in {name}"
                layout.memory.write(place, section.data())
        for function in VMX_USERS:
            for address, size, mnemonic in self._instructions(function):
                if mnemonic in ("vmread", "vmwrite"):
                    layout.memory.write(layout.physical(address), VMX_SUCCEEDS.ljust(size, b"\x90"))
        layout.memory.write(layout.physical(self.virtual(END)), STAY)
        self._stubs = {self.virtual(name): name for name in stubs}
        for address in self._stubs:
            layout.memory.write(layout.physical(address), RET)
        self._pages: dict[int, int] = {}
        self._dirty: set[int] = set()
        self._events: list[Event] = []
        self._stack = range(0)
        self._watched: Mapping[int, int] = {}
        self.answers: dict[str, Callable[..., int]] = {}
        self.start()

    def start(self) -> None:
        """Take the layout's memory as it is now for what all states differ from."""
        memory = self.layout.memory
        self._base = memory.read(0, memory.size)
        self._buffer = (ctypes.c_char * memory.size).from_buffer_copy(self._base)
        self._ram = memoryview(self._buffer).cast("B")
        self._unicorn = self._processor()

    def stack(self, cpu: int) -> range:
        """A CPU's stack, without the `struct cpu_info` on top."""
        info = self.layout.cpu_info(cpu)
        return range(info & -STACK_SIZE, info)

    def virtual(self, name: str) -> int:
        """A symbol's own address. There must be one of that name."""
        assert self._times[name] == 1, f"there are {self._times[name]} symbols {name}"
        return int(self._symbols[name][0])

    def disassembly(self, function: str) -> list[tuple[str, str]]:
        """Mnemonic and operands of a function's instructions, in the order in which they lie."""
        start, size = self._symbols[function]
        code = self.layout.memory.read(self.layout.physical(start), size)
        return [(mnemonic, operands) for *_, mnemonic, operands in Cs(CS_ARCH_X86, CS_MODE_64).disasm_lite(code, start)]

    def load(self, memory: Memory, pages: Iterable[int]) -> None:
        """Take a memory that differs from the layout's in these pages only."""
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
        self._ram[top : top + 8] = self.virtual(END).to_bytes(8, "little")
        cpu_state = self._unicorn
        for register, value in zip(ARGUMENTS, arguments, strict=False):
            cpu_state.reg_write(register, value)
        cpu_state.reg_write(UC_X86_REG_RIP, self.virtual(function))
        cpu_state.reg_write(UC_X86_REG_RSP, self.layout.virtual(top))
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
        return bool(self._unicorn.reg_read(UC_X86_REG_RIP) == self.virtual(END))

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
        return self.layout.physical(self._unicorn.reg_read(UC_X86_REG_RSP))

    @property
    def pages(self) -> set[int]:
        """The pages in which memory may differ from what it was at the start."""
        return set(self._dirty)

    def _processor(self) -> Uc:
        unicorn = Uc(UC_ARCH_X86, UC_MODE_64)
        unicorn.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
        unicorn.mem_map_ptr(0, len(self._ram), UC_PROT_ALL, ctypes.addressof(self._buffer))
        unicorn.mem_map(APIC, PAGE)
        unicorn.hook_add(UC_HOOK_TLB_FILL, self._translate)
        unicorn.hook_add(UC_HOOK_MEM_WRITE, self._written)
        end = self.virtual(END)
        unicorn.hook_add(UC_HOOK_CODE, self._returned, begin=end, end=end)
        for address in self._stubs:
            unicorn.hook_add(UC_HOOK_CODE, self._called, begin=address, end=address)
        for function in INTERRUPTS:
            for address, _, mnemonic in self._instructions(function):
                if mnemonic == "wrmsr":
                    unicorn.hook_add(UC_HOOK_CODE, self._ended, begin=address, end=address)
        return unicorn

    def _translate(self, _: Uc, virtual: int, __: int, entry: Any, ___: object) -> bool:
        page = virtual & -PAGE
        if page not in self._pages:
            try:
                self._pages[page] = translate(self.layout.memory, self.layout.symbol("idle_pg_table"), page)
            except SimError:
                if virtual not in FIXMAP:
                    return False
                self._pages[page] = APIC
        entry.paddr = self._pages[page]
        entry.perms = UC_PROT_ALL
        return True

    def _written(self, _: Uc, __: int, address: int, size: int, value: int, ___: object) -> None:
        if address in self._stack:
            return
        if address == APIC + EOI:
            self._events.append(("ack_apic_irq",))
            return
        self._dirty.update((address // PAGE, (address + size - 1) // PAGE))
        new = (value & (1 << size * 8) - 1).to_bytes(size, "little")
        self._events += change(address, self.read(address, size), new)

    def _touched(self, _: Uc, __: int, address: int, *___: object) -> None:
        if address in self._watched:
            self._events.append(("touch", self._watched[address]))

    def _returned(self, unicorn: Uc, *_: object) -> None:
        unicorn.emu_stop()

    def _called(self, unicorn: Uc, address: int, _: int, __: object) -> None:
        name = self._stubs[address]
        arguments = [unicorn.reg_read(register) for register in ARGUMENTS]
        self._events.append((name, *arguments))
        if name in self.answers:
            unicorn.reg_write(UC_X86_REG_RAX, self.answers[name](*arguments))

    def _ended(self, unicorn: Uc, *_: object) -> None:
        assert unicorn.reg_read(UC_X86_REG_RCX) == X2APIC_EOI
        self._events.append(("ack_apic_irq",))

    def _instructions(self, function: str) -> list[tuple[int, int, str]]:
        """Virtual address, size and mnemonic of a function's instructions."""
        start, size = self._symbols[function]
        code = self.layout.memory.read(self.layout.physical(start), size)
        found = [(a, s, mnemonic) for a, s, mnemonic, _ in Cs(CS_ARCH_X86, CS_MODE_64).disasm_lite(code, start)]
        assert sum(s for _, s, _ in found) == size
        return found

    def _put(self, page: int, content: bytes) -> None:
        self._ram[page * PAGE : page * PAGE + PAGE] = content

    def _where(self) -> str:
        address = self._unicorn.reg_read(UC_X86_REG_RIP)
        names = (name for name, (start, size) in self._symbols.items() if start <= address < start + size)
        return f"{next(names, '?')} ({address:#x})"
