"""The machine's memory as an ELF core: for `vtdpi dump`, and for gdb with the very xen-syms of the build.

A segment has a physical address, as in a dump that QEMU makes, and the virtual address where Xen sees it, as gdb wants.
All memory is there in the direct map, the image's data once more at their own addresses (its code is not: gdb takes
that from xen-syms), and the registers of the VT-d units where Xen has mapped them. A page of zeros is a hole in the
file.

Source: System V gABI, chapters 4 and 5; Linux `struct elf_prstatus`; QEMU target/i386/arch_dump.c (`QEMUCPUState`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sim_backend.layout.builder import DIRECT_MAP, IMAGE_ALIGNMENT, PHYS_START
from sim_backend.layout.layout import Layout
from sim_backend.machine.registers import Placed, registers
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE
from structs import new_file
from structs.frozen import frozen

if TYPE_CHECKING:
    from sim_backend.layout.kvm.layout import KvmLayout

LINUX_DIRECT_MAP = 0xFFFF_8880_0000_0000

_HEADER = struct.Struct("<4s5B7xHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_ET_CORE, _EM_X86_64 = 4, 62
_PT_LOAD, _PT_NOTE = 1, 4
_READ, _READ_WRITE = 4, 6
_NT_PRSTATUS = 1

_USER_REGISTERS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_QEMU_REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags"),
)
_QEMU_SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss", "ldt", "tr", "gdt", "idt")
_CONTROL = ("cr0", "cr1", "cr2", "cr3", "cr4")
_THREAD_ID_AT, _PRSTATUS_HEAD, _SEGMENT_STATE = 32, 112, 24


@frozen
class _Load:
    virtual: int
    physical: int
    size: int


def write_core(machine: Placed, path: Path) -> None:
    """Write the machine's memory and the registers of the CPUs that are online.

    Raises:
        SimError: the file cannot be written.
    """
    try:
        with new_file.replacing(path) as file:
            write_into(machine, file)
    except OSError as error:
        raise SimError(f"{path} cannot be written: {error.strerror}") from None


def write_into(machine: Placed, file: BinaryIO) -> None:
    """As `write_core`, into a file that is new and empty. Raises OSError."""
    layout = machine.layout
    loads = list(_loads(layout))
    notes = b"".join(_notes(machine))
    notes_at = _HEADER.size + _SEGMENT.size * (len(loads) + 1)
    memory_at = -(-(notes_at + len(notes)) // PAGE) * PAGE
    places = _places(layout, memory_at)
    segments = [_SEGMENT.pack(_PT_NOTE, _READ, notes_at, 0, 0, len(notes), 0, 4)]
    for load in loads:
        at = next(at + load.physical - start for start, size, at in places if start <= load.physical < start + size)
        segments.append(
            _SEGMENT.pack(_PT_LOAD, _READ_WRITE, at, load.virtual, load.physical, load.size, load.size, PAGE)
        )
    file.write(_header(len(segments)) + b"".join(segments) + notes)
    for address, content in layout.memory.used_pages():
        for start, size, at in places:
            if start <= address < start + size:
                file.seek(at + address - start)
                file.write(content)
    file.truncate(places[-1][1] + places[-1][2])


def _header(segments: int) -> bytes:
    identification = (b"\x7fELF", 2, 1, 1, 0, 0)
    return _HEADER.pack(
        *identification, _ET_CORE, _EM_X86_64, 1, 0, _HEADER.size, 0, 0, _HEADER.size, _SEGMENT.size, segments, 0, 0, 0
    )


def _places(layout: Layout | KvmLayout, start: int) -> list[tuple[int, int, int]]:
    """Physical address, size and place in the file of all memory and of each unit's registers."""
    places = []
    for address, size in (*layout.memory.ram(), *((unit.registers, PAGE) for unit in layout.units)):
        places.append((address, size, start))
        start += size
    return places


def _loads(layout: Layout | KvmLayout) -> Iterator[_Load]:
    if not isinstance(layout, Layout):
        yield from (_Load(LINUX_DIRECT_MAP + start, start, size) for start, size in layout.memory.ram())
        return
    for start, size in layout.memory.ram():
        yield _Load(DIRECT_MAP + start, start, size)
    data, size = PHYS_START + 2 * IMAGE_ALIGNMENT, layout.image_size - 2 * IMAGE_ALIGNMENT
    yield _Load(layout.virtual(data), data, size)
    for unit in layout.units:
        yield _Load(layout.get("vtd_iommu", unit.iommu, "reg"), unit.registers, PAGE)


def _notes(machine: Placed) -> Iterator[bytes]:
    """For each CPU, NT_PRSTATUS for gdb, and QEMU's note, which has its CR3."""
    for cpu in range(machine.layout.config.cpus):
        if machine.layout.is_online(cpu):
            values = registers(machine, cpu)
            yield _note(b"CORE", _NT_PRSTATUS, _prstatus(cpu, values))
            yield _note(b"QEMU", 0, _qemu_state(values))


def _note(owner: bytes, kind: int, data: bytes) -> bytes:
    name = owner + b"\0"
    return _NOTE.pack(len(name), len(data), kind) + _padded(name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _prstatus(cpu: int, values: dict[str, int]) -> bytes:
    head = bytearray(_PRSTATUS_HEAD)
    struct.pack_into("<I", head, _THREAD_ID_AT, cpu + 1)
    return bytes(head) + _words(_USER_REGISTERS, values) + bytes(8)


def _qemu_state(values: dict[str, int]) -> bytes:
    segments = b"".join(struct.pack("<I", values.get(name, 0)) + bytes(_SEGMENT_STATE - 4) for name in _QEMU_SEGMENTS)
    rest = _words(_QEMU_REGISTERS, values) + segments + _words(_CONTROL, values) + bytes(8)
    return struct.pack("<II", 1, len(rest) + 8) + rest


def _words(names: tuple[str, ...], values: dict[str, int]) -> bytes:
    return struct.pack(f"<{len(names)}Q", *(values.get(name, 0) for name in names))
