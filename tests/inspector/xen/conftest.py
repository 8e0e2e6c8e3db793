"""Golden captures as they would be if the machine had crashed: another kernel's /proc/vmcore."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inspector.capture.inspection import Inspection
from inspector.model.snapshot import IN_GUEST
from inspector.targets.dump.elf_core import ElfCore
from inspector.xen.xen import Xen, image_base

STACK = 0x8000
SAVED_AT = 0xFFFF82D0402301B2
"""Within kexec_crash_save_cpu, where every CPU's note says that it was."""
DIRECT_MAP = 0xFFFF830000000000
NMI_PAGE, DEEP = 0x2000, 0x6000
"""Within a CPU's stack: the page for NMIs, and one of the stack proper."""

GENERAL = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss"


@dataclass
class Crashed:
    """Writes a capture as a crash dump. `crashing`: the CPU that crashed, None if all were stopped by an NMI."""

    golden: Callable[[str], Path]
    elf_core: Callable[..., bytes]
    elf_note: Callable[..., bytes]
    directory: Path

    def __call__(self, name: str, crashing: int | None = None) -> Path:
        with ElfCore(self.golden(name)) as target:
            inspection = Inspection(target)
            snapshot, xen = inspection.snapshot, inspection.xen
            assert xen
            memory = {known.start: bytearray(target.read(known.start, known.size)) for known in target.memory()}
            stacks = self._stacks(xen, {cpu.cpu for cpu in snapshot.online})
            notes = b""
            for cpu in snapshot.online:
                registers = target.cpus()[cpu.cpu].registers
                deep = cpu.cpu == crashing or cpu.mode == IN_GUEST
                if not deep:
                    page = bytearray(4096)
                    words = (registers["rip"], registers["cs"] or 0xE008, 0x202, registers["rsp"], 0xE010)
                    page[-40:] = struct.pack("<5Q", *words)
                    memory[stacks[cpu.cpu] - DIRECT_MAP + NMI_PAGE] = page
                rsp = stacks[cpu.cpu] + (DEEP if deep else NMI_PAGE) + 0xF10
                notes += self._notes(rsp, xen.memory.root if deep else registers["cr3"])
            self._poke(xen, memory, "cpu_online_map", bytes(8))
            self._poke(xen, memory, "x2apic_enabled", b"\0")
            root = xen.profile.symbol("idle_pg_table")
            info = struct.pack("<10Q", 4, 20, *[0] * 6, xen.phys_start, 0)
            notes += self.elf_note("Xen", 0x1000001, info)
            notes += self.elf_note("VMCOREINFO_XEN", 0, b"PAGESIZE=4096\nSYMBOL(pgd_l4)=%x\n" % root)
            assert xen.memory.root == xen.phys_start + root - image_base(root)
        path = self.directory / f"crashed-{name}-{crashing}"
        path.write_bytes(self.elf_core([(at, 0, bytes(raw)) for at, raw in sorted(memory.items())], notes))
        return path

    def _notes(self, rsp: int, cr3: int) -> bytes:
        values = dict.fromkeys(GENERAL.split(), 0) | {"rip": SAVED_AT, "cs": 0xE008, "eflags": 2, "rsp": rsp}
        status = bytes(112) + struct.pack("<21Q", *values.values()) + bytes(56)
        control = struct.pack("<4Q", 0x80050033, 0, cr3, 0x26E0)
        return self.elf_note("CORE", 1, status) + self.elf_note("Xen", 0x1000002, control)

    def _stacks(self, xen: Xen, cpus: set[int]) -> dict[int, int]:
        """By CPU: where its stack begins, found by the `struct cpu_info` at its top."""
        vcpus = {*xen.array("idle_vcpu", 8, len(cpus))}
        tops = [
            DIRECT_MAP + page + 0x1000
            for known in xen.memory.target.memory() or ()
            for page in range(known.start, known.end, 0x1000)
            if page % STACK == STACK - 0x1000
        ]
        info = xen.profile.size("cpu_info")
        rows = xen.structs("cpu_info", [top - info for top in tops], "processor_id", "current_vcpu")
        found: dict[int, int] = {}
        for top, row in zip(tops, rows, strict=True):
            if row and row["processor_id"] in cpus and row["current_vcpu"] > 0xFFFF830000000000:
                found[row["processor_id"]] = top - STACK
        assert found.keys() == cpus, vcpus
        return found

    def _poke(self, xen: Xen, memory: dict[int, bytearray], name: str, content: bytes) -> None:
        place = xen.memory.translate(xen.profile.symbol(name))
        start = max(at for at in memory if at <= place)
        memory[start][place - start : place - start + len(content)] = content


@pytest.fixture(scope="session")
def crashed(
    golden: Callable[[str], Path],
    elf_core: Callable[..., bytes],
    elf_note: Callable[..., bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Crashed:
    """Call it with a capture's name for the path of a crash dump of the same machine."""
    return Crashed(golden, elf_core, elf_note, tmp_path_factory.mktemp("crashed"))
