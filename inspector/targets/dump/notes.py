"""ELF notes of a dump: the CPUs' registers, and what Xen left for whoever reads its crash.

Sources: QEMU target/i386/arch_dump.c (NT_PRSTATUS and QEMUCPUState); Xen xen/include/xen/elfcore.h,
xen/arch/x86/include/asm/elf.h (crash_xen_info_t, crash_xen_core_t) and xen/common/kexec.c (VMCOREINFO_XEN); VirtualBox
include/VBox/vmm/dbgfcorefmt.h (DBGFCOREDESCRIPTOR, DBGFCORECPU, format 1.6) and DBGFCoreWrite.cpp.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

import numpy as np

from inspector.targets.dump.binary_layout import layout
from inspector.targets.target import Cpu, Crash
from structs.frozen import frozen

NT_PRSTATUS = 1
XEN_ELFNOTE_CRASH_INFO = 0x1000001
XEN_ELFNOTE_CRASH_REGS = 0x1000002
NT_VBOXCORE, NT_VBOXCPU = 0xB00, 0xB01


@frozen
class Note:
    """One ELF note: who defined it, what kind it is to them, and its bytes."""

    owner: str
    type: int
    data: bytes


def _words(names: str) -> str:
    return " ".join(f"{name}:u8" for name in names.split())


_PRSTATUS = layout(
    "header:V112 "
    + _words("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss")
    + " fs_base:u8 gs_base:u8 ds:u8 es:u8 fs:u8 gs:u8 fpvalid:V8"
)
_QEMU_CPU_STATE = layout(
    "version:u4 size:u4 "
    + _words("rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags")
    + "".join(
        f" {name}:u4 {name}_limit:u4 {name}_flags:u4 {name}_pad:u4 {name}_base:u8"
        for name in ("cs", "ds", "es", "fs", "gs", "ss", "ldt", "tr", "gdt", "idt")
    )
    + " cr0:u8 cr1:u8 cr2:u8 cr3:u8 cr4:u8"
)
_VIRTUALBOX = layout("magic:u4 format:u4")
_VIRTUALBOX_MAGIC = 0xC01AC0DE
_VIRTUALBOX_RAW, _VIRTUALBOX_FORMATS = 0x10000, 0x20000
"""In the first format CPUs are as VirtualBox's own processes have them; all later ones, up to here, begin alike."""
_VIRTUALBOX_CPU = layout(
    _words("rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rip rsp rbp eflags")
    + "".join(
        f" {name}_base:u8 {name}_limit:u4 {name}_flags:u4 {name}:u2 {name}_pad:V6"
        for name in ("cs", "ds", "es", "fs", "gs", "ss")
    )
    + " cr0:u8 cr2:u8 cr3:u8 cr4:u8 dr:V64 gdtr:V16 idtr:V16 ldtr:V24 tr:V24 sysenter:V24 "
    + _words("efer star pat lstar cstar sfmask k_gs_base apic_base")
)
_CRASH_REGS = layout("cr0:u8 cr2:u8 cr3:u8 cr4:u8")
_CRASH_INFO = layout(
    "major_version:u8 minor_version:u8 extra_version:u8 changeset:u8 compiler:u8 compile_date:u8 compile_time:u8"
    " tainted:u8 xen_phys_start:u8 dom0_pfn_to_mfn_frame_list_list:u8"
)

_PAGE_TABLES = re.compile(rb"^SYMBOL\(pgd_l4\)=([0-9a-f]{1,16})$", re.MULTILINE)
_IMAGE_SIZE = 1 << 30
"""Of virtual addresses that Xen's image has for itself; they begin at a multiple of it (XEN_VIRT_START)."""

_CONTROL = ("cr0", "cr2", "cr3", "cr4")
# gdb's registers that both kinds of CPU note have: all fields of an NT_PRSTATUS but these three.
_GENERAL = tuple(name for name in _PRSTATUS.names or () if name not in ("header", "orig_rax", "fpvalid"))


def parse_notes(raw: bytes) -> tuple[list[Note], bool]:
    """The notes in the bytes of a note segment, and whether it is whole: False if the last one is cut short.

    Empty notes (what Linux leaves for a CPU that never answered) are skipped.
    """
    notes: list[Note] = []
    position = 0
    while position + 12 <= len(raw):
        name_size, data_size, kind = struct.unpack_from("<III", raw, position)
        name_at = position + 12
        data_at = name_at + (name_size + 3 & ~3)
        position = data_at + (data_size + 3 & ~3)
        if data_at + data_size > len(raw):
            return notes, False
        if name_size:
            owner = raw[name_at : name_at + name_size].rstrip(b"\0").decode("ascii", "backslashreplace")
            notes.append(Note(owner, kind, raw[data_at : data_at + data_size]))
    return notes, True


def cpus_of(notes: Sequence[Note]) -> list[Cpu]:
    """The CPUs that the notes describe, in the order of their notes.

    Each CPU has up to three notes: QEMU's or VirtualBox's, its control registers in a crash dump of Xen's own, and
    NT_PRSTATUS. The last is what gdb and crash read: where two notes differ, it is believed.
    """
    general = [_prstatus(n.data) for n in notes if (n.owner, n.type) == ("CORE", NT_PRSTATUS)]
    control = [_crash_regs(n.data) for n in notes if (n.owner, n.type) == ("Xen", XEN_ELFNOTE_CRASH_REGS)]
    whole = [_qemu_cpu_state(n.data) for n in notes if (n.owner, n.type) == ("QEMU", 0)]
    whole += _virtualbox_cpus(notes)
    registers: list[dict[str, int]] = [{} for _ in range(max(len(general), len(control), len(whole)))]
    for column in (whole, control, general):
        for of_cpu, found in zip(registers, column, strict=False):
            of_cpu.update(found)
    return [Cpu(index, of_cpu) for index, of_cpu in enumerate(registers)]


def crash_of(notes: Sequence[Note]) -> Crash | None:
    """What Xen's notes say of its crash; None if the dump is of no crash of Xen's."""
    start = root = None
    for note in notes:
        if (note.owner, note.type) == ("Xen", XEN_ELFNOTE_CRASH_INFO) and len(note.data) >= _CRASH_INFO.itemsize:
            start = int(np.frombuffer(note.data, _CRASH_INFO, 1)[0]["xen_phys_start"])
        elif note.owner == "VMCOREINFO_XEN" and (found := _PAGE_TABLES.search(note.data)):
            root = int(found[1], 16)
    if start is None:
        return None
    return Crash(start, None if root is None else start + root % _IMAGE_SIZE)


def _prstatus(data: bytes) -> dict[str, int]:
    if len(data) != _PRSTATUS.itemsize:
        return {}
    return _fields(data, _PRSTATUS, _GENERAL)


def _crash_regs(data: bytes) -> dict[str, int]:
    if len(data) != _CRASH_REGS.itemsize:
        return {}
    return _fields(data, _CRASH_REGS, _CONTROL)


def _qemu_cpu_state(data: bytes) -> dict[str, int]:
    size = _QEMU_CPU_STATE.itemsize
    if len(data) < size or int.from_bytes(data[:4], "little") != 1:
        return {}
    registers = _fields(data, _QEMU_CPU_STATE, (*_GENERAL, *_CONTROL))
    # A later QEMU appended this one without a new version: only the note's size tells.
    if len(data) >= size + 8:
        registers["k_gs_base"] = int.from_bytes(data[size : size + 8], "little")
    return registers


def _virtualbox_cpus(notes: Sequence[Note]) -> list[dict[str, int]]:
    machine = next((note.data for note in notes if (note.owner, note.type) == ("VBCORE", NT_VBOXCORE)), b"")
    if len(machine) < _VIRTUALBOX.itemsize:
        return []
    about = np.frombuffer(machine, _VIRTUALBOX, 1)[0]
    if about["magic"] != _VIRTUALBOX_MAGIC or not _VIRTUALBOX_RAW < about["format"] < _VIRTUALBOX_FORMATS:
        return []
    cpus = [note.data for note in notes if (note.owner, note.type) == ("VBCPU", NT_VBOXCPU)]
    names = (*_GENERAL, *_CONTROL, "k_gs_base")
    return [_fields(cpu, _VIRTUALBOX_CPU, names) if len(cpu) >= _VIRTUALBOX_CPU.itemsize else {} for cpu in cpus]


def _fields(data: bytes, record: np.dtype[np.void], names: Sequence[str]) -> dict[str, int]:
    values = np.frombuffer(data, record, 1)[0]
    return {name: int(values[name]) for name in names}
