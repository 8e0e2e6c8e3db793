"""Xen's own machine code on the memory of a machine that the simulation laid out.

Text and constants of a xen-syms are put where the layout maps Xen's image, all data is the simulation's, and addresses
are translated by the layout's own page tables. What lies outside of the posted-interrupt logic (the scheduler, the
commands to the local APIC) is a stub.

Limits: those of `machine_code`; a release build has no assertions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from elftools.elf.elffile import ELFFile
from unicorn import UC_HOOK_CODE, Uc
from unicorn.x86_const import UC_X86_REG_RCX

from sim_backend.layout.cpus import STACK_SIZE
from sim_backend.layout.layout import Layout
from sim_backend.layout.page_tables import translate
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE

from .machine_code import RET, STAY, VMX_SUCCEEDS, MachineCode

APIC = 0xFEE0_0000
EOI = 0xB0
FIXMAP = range(0xFFFF_82CF_FFF0_0000, 0xFFFF_82D0_0000_0000)
"""Where Xen maps the local APIC's registers; the simulation maps nothing there."""
X2APIC_EOI = 0x80B
END = "_start"
"""Where functions return to."""
VMX_USERS = ("vmx_vmenter_helper",)
INTERRUPTS = ("pi_wakeup_interrupt", "pi_notification_interrupt")


class XenCode(MachineCode):
    """The code of one build, on the memory of one layout.

    Args:
        symbols: the build's xen-syms.
        layout: a machine of that build. The file's text is put into its memory.
        stubs: functions that are not run.
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
        super().__init__(layout.memory, self.virtual(END))
        for function in VMX_USERS:
            for address, size, mnemonic, _ in self.instructions(function):
                if mnemonic in ("vmread", "vmwrite"):
                    layout.memory.write(layout.physical(address), VMX_SUCCEEDS.ljust(size, b"\x90"))
        layout.memory.write(layout.physical(self.end), STAY)
        self.stubs = {self.virtual(name): name for name in stubs}
        for address in self.stubs:
            layout.memory.write(layout.physical(address), RET)
        self.start()

    def stack(self, cpu: int) -> range:
        """As MachineCode.stack: without the `struct cpu_info` on top."""
        info = self.layout.cpu_info(cpu)
        return range(info & -STACK_SIZE, info)

    def virtual(self, name: str) -> int:
        """As MachineCode.virtual."""
        assert self._times[name] == 1, f"there are {self._times[name]} symbols {name}"
        return int(self._symbols[name][0])

    def to_virtual(self, physical: int) -> int:
        """As MachineCode.to_virtual."""
        return self.layout.virtual(physical)

    def extent(self, function: str) -> tuple[int, int]:
        """As MachineCode.extent."""
        start, size = self._symbols[function]
        return start, size

    def code_at(self, address: int, size: int) -> bytes:
        """As MachineCode.code_at."""
        return self.layout.memory.read(self.layout.physical(address), size)

    def where(self, address: int) -> str:
        """As MachineCode.where."""
        names = (name for name, (start, size) in self._symbols.items() if start <= address < start + size)
        return next(names, "?")

    def translate(self, page: int) -> int | None:
        """As MachineCode.translate."""
        try:
            return translate(self.layout.memory, self.layout.symbol("idle_pg_table"), page)
        except SimError:
            return APIC if page in FIXMAP else None

    def processor(self) -> Uc:
        """As MachineCode.processor, with a local APIC that takes EOIs."""
        unicorn = super().processor()
        unicorn.mem_map(APIC, PAGE)
        for function in INTERRUPTS:
            for address, _, mnemonic, _ in self.instructions(function):
                if mnemonic == "wrmsr":
                    unicorn.hook_add(UC_HOOK_CODE, self._acknowledged, begin=address, end=address)
        return unicorn

    def stored(self, address: int, size: int, value: int) -> None:
        """As MachineCode.stored."""
        if address == APIC + EOI:
            self._events.append(("ack_apic_irq",))
        else:
            super().stored(address, size, value)

    def _acknowledged(self, unicorn: Uc, *_: object) -> None:
        assert unicorn.reg_read(UC_X86_REG_RCX) == X2APIC_EOI
        self._events.append(("ack_apic_irq",))
