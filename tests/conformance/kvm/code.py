"""KVM's own machine code, of Debian's kvm.ko and kvm-intel.ko, and the kernel's, on a machine that the simulation laid
out.

Of the kernel's image, what the layout maps is put there, but words that it has values of its own for; the rest, and
the modules, lie behind all memory. What is no stub runs: locks, lists' checks and bit searches too, in the kernel's own
code. Functions return by the kernel's own return thunk, ftrace's hook is a function that returns, calls through pv_ops
go to the native functions.

Limits: those of `machine_code`; static keys, static calls and alternatives are as in the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import unicorn.x86_const as x86
from unicorn import UC_HOOK_CODE, Uc

from sim_backend.layout.kvm.layout import KvmLayout
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE
from structs.arrays import np
from tests.fixtures.vmlinux import Vmlinux

from ..machine_code import RET, STAY, VMX_SUCCEEDS, MachineCode
from .module import Module

MODULES = 0xFFFF_FFFF_C100_0000
"""Behind those that the layout has loaded, of which it has no code."""
STACKS = 0xFFFF_C900_0000_0000
STACK_SIZE = 0x4000
SECTIONS = (".text", ".rodata", ".data")
"""What of the kernel is put into the machine's memory."""
IMAGE_PAGES = 1024
"""How much of the rest of the kernel can be used."""
VMX_USERS = ("vmx_set_rvi",)
WARN_USERS = ("pi_enable_wakeup_handler", "vmx_pi_update_irte")
"""Functions of which a failed WARN is told, as WARNS; anywhere else it ends the run."""
VMREAD, VMWRITE, WARNS = "vmread", "vmwrite", "warns"
UD2, NOP = b"\x0f\x0b", b"\x90"


class KvmCode(MachineCode):
    """The code of one build, on the memory of one machine.

    Args:
        vmlinux, modules: the build's files; the modules in loading order.
        layout: a machine of that build. The kernel's text and data are put into its memory.
        stubs: functions that are not run.
        cpus: how many CPUs there are.

    Attributes:
        vmcs: the current VMCS, by the fields' numbers; of those that are there the code reads what is in it. What it
            writes is an event too.
    """

    def __init__(
        self, vmlinux: Path, modules: Iterable[Path], layout: KvmLayout, stubs: Iterable[str], cpus: int
    ) -> None:
        self.layout = layout
        self.kernel = Vmlinux(vmlinux)
        self.vmcs: dict[int, int] = {}
        self._started = False
        super().__init__(layout.memory, self.kernel.text)
        for address, content in self.kernel.sections(SECTIONS):
            self._place(address, content)
        self._offsets = self.layout.physical(self._kernels("__per_cpu_offset"))
        self.modules = [Module(path) for path in modules]
        end = MODULES
        for module in self.modules:
            end = module.lay_out(end, self._known)
        self._parts = {
            layout.memory.size: range(MODULES, end),
            layout.memory.size + end - MODULES: range(STACKS, STACKS + cpus * STACK_SIZE),
        }
        self._next_page = layout.memory.size + sum(map(len, self._parts.values()))
        self._image: dict[int, int] = {}
        self._more = bytearray(self._next_page - layout.memory.size + IMAGE_PAGES * PAGE)
        for module in self.modules:
            for address, content in module.image(self._resolve).items():
                self._patch(address, content)
        self._warnings = [
            address
            for start, size in map(self.extent, WARN_USERS)
            for module in self.modules
            for address in module.warnings
            if start <= address < start + size
        ]
        for address in self._warnings:
            assert self.code_at(address, len(UD2)) == UD2
            self._patch(address, NOP * len(UD2))
        self.stubs = {self.virtual(name): name for name in stubs}
        for address in self.stubs:
            self._patch(address, RET)
        self._patch(self.end, STAY)
        self._vmx: dict[int, tuple[str, str, str]] = {}
        for function in VMX_USERS:
            for address, size, mnemonic, operands in self.instructions(function):
                if mnemonic in (VMREAD, VMWRITE):
                    first, second = operands.split(", ")
                    self._vmx[address] = (mnemonic, first, second)
                    self._patch(address, VMX_SUCCEEDS.ljust(size, NOP))
        self.start()
        self._started = True

    def content(self) -> bytearray:
        """As MachineCode.content: behind the machine's memory are the modules and the stacks."""
        return super().content() + self._more

    def stack(self, cpu: int) -> range:
        """As MachineCode.stack."""
        start = self.to_physical(STACKS) + cpu * STACK_SIZE
        return range(start, start + STACK_SIZE)

    def virtual(self, name: str) -> int:
        """As MachineCode.virtual: of a module, or else the kernel."""
        found = [module.defined[name][0] for module in self.modules if name in module.defined]
        if not found:
            return self._kernels(name)
        assert len(found) == 1, f"there are {len(found)} symbols {name}"
        return found[0]

    def to_virtual(self, physical: int) -> int:
        """As MachineCode.to_virtual."""
        for start, part in self._parts.items():
            if 0 <= physical - start < len(part):
                return part[physical - start]
        return self.layout.virtual(physical)

    def to_physical(self, virtual: int) -> int:
        """Where a virtual address lies; raises SimError if nothing is mapped there."""
        for start, part in self._parts.items():
            if virtual in part:
                return start + virtual - part.start
        if (page := virtual & -PAGE) in self._image:
            return self._image[page] + virtual - page
        try:
            return self.layout.physical(virtual)
        except SimError:
            content = self.kernel.bytes_at(page, PAGE)
            if content is None:
                raise
        assert len(self._image) < IMAGE_PAGES
        self._image[page], self._next_page = self._next_page, self._next_page + PAGE
        self._store(self._image[page], content)
        return self._image[page] + virtual - page

    def translate(self, page: int) -> int | None:
        """As MachineCode.translate."""
        try:
            return self.to_physical(page)
        except SimError:
            return None

    def extent(self, function: str) -> tuple[int, int]:
        """As MachineCode.extent."""
        found = [module.defined[function] for module in self.modules if function in module.defined]
        return found[0] if found else self.kernel.extent(function)

    def code_at(self, address: int, size: int) -> bytes:
        """As MachineCode.code_at."""
        place = self.to_physical(address) - self.memory.size
        return (
            bytes(self._more[place : place + size])
            if place >= 0
            else self.memory.read(self.layout.physical(address), size)
        )

    def where(self, address: int) -> str:
        """As MachineCode.where."""
        for module in self.modules:
            for name, (start, size) in module.defined.items():
                if start <= address < start + size:
                    return name
        return self.kernel.where(address)

    def enter(
        self, function: str, *arguments: int, cpu: int = 0, interrupts_on: bool = True, below: int | None = None
    ) -> None:
        """As MachineCode.enter, with the CPU's own variables."""
        super().enter(function, *arguments, cpu=cpu, interrupts_on=interrupts_on, below=below)
        place = self._offsets + 8 * cpu
        self._unicorn.reg_write(x86.UC_X86_REG_GS_BASE, int.from_bytes(self.read(place, 8), "little"))

    def processor(self) -> Uc:
        """As MachineCode.processor, with a VMCS; where a WARN traps is told."""
        unicorn = super().processor()
        for address in self._vmx:
            unicorn.hook_add(UC_HOOK_CODE, self._vmx_instruction, begin=address, end=address)
        for address in self._warnings:
            unicorn.hook_add(UC_HOOK_CODE, self._warned, begin=address, end=address)
        return unicorn

    def _kernels(self, name: str) -> int:
        address = self.kernel.symbol(name)
        assert address is not None, f"nobody defines {name}"
        return address

    def _known(self, name: str) -> int | None:
        """The address that the machine has a module's variable at; a per-CPU one's in each CPU's area."""
        profile = self.layout.profile
        return profile.symbol(name) if profile.has_symbol(name) else None

    def _resolve(self, name: str) -> int:
        """As the loader finds a symbol that a module does not define."""
        found = [module.exported[name] for module in self.modules if name in module.exported]
        return found[0] if found else self._kernels(name)

    def _place(self, address: int, content: bytes) -> None:
        """Put the kernel's bytes where the machine has memory for them, but words that it has values of its own for."""
        for at in range(0, len(content), PAGE):
            try:
                place = self.layout.physical(address + at)
            except SimError:
                continue
            new = content[at : at + PAGE].ljust(PAGE, b"\0")
            old = self.memory.read(place, PAGE)
            if any(old):
                words = [np.frombuffer(page, "u8") for page in (old, new)]
                new = np.where(words[0] != 0, *words).tobytes()
            if any(new):
                self.memory.write(place, new)

    def _patch(self, address: int, code: bytes) -> None:
        """Replace code."""
        self._store(self.to_physical(address), code)

    def _store(self, place: int, content: bytes) -> None:
        """Change what all states have."""
        if place < self.memory.size:
            self.memory.write(place, content)
            return
        at = place - self.memory.size
        self._more[at : at + len(content)] = content
        if self._started:
            self._base[place : place + len(content)] = content
            self._ram[place : place + len(content)] = content

    def _vmx_instruction(self, unicorn: Uc, address: int, *_: object) -> None:
        mnemonic, first, second = self._vmx[address]
        if mnemonic == VMREAD:
            field = unicorn.reg_read(_register(second))
            assert field in self.vmcs, f"reads field {field:#x} of the VMCS"
            unicorn.reg_write(_register(first), self.vmcs[field])
        else:
            field, value = unicorn.reg_read(_register(first)), unicorn.reg_read(_register(second))
            self.vmcs[field] = value
            self._events.append((VMWRITE, field, value))

    def _warned(self, _: Uc, address: int, *__: Any) -> None:
        self._events.append((WARNS, self.where(address)))


def _register(name: str) -> int:
    return int(getattr(x86, f"UC_X86_REG_{name.upper()}"))
