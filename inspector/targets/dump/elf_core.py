"""An ELF core with physical addresses: QEMU's dump-guest-memory, a kernel's /proc/vmcore, or any that has p_paddr.

The layouts are numpy types, not pyelftools: a core made with paging=true may have tens of thousands of segments, which
are read as one array here, and a hostile file must end in one clear line.
Source: System V gABI, chapters 4 and 5; QEMU dump/dump.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.base.errors import TargetError
from inspector.targets.dump.binary_layout import layout
from inspector.targets.dump.file import PAGE_SIZE, ZEROS, Extents, FileTarget
from inspector.targets.dump.notes import Note, parse_notes
from inspector.targets.ranges import Ranges

MAGIC = b"\x7fELF"

_HEADER = layout(
    "magic:S4 class:u1 data:u1 ident:V10 type:u2 machine:u2 version:u4 entry:u8 phoff:u8 shoff:u8 flags:u4"
    " ehsize:u2 phentsize:u2 phnum:u2 shentsize:u2 shnum:u2 shstrndx:u2"
)
_SEGMENT = layout("type:u4 flags:u4 offset:u8 vaddr:u8 paddr:u8 filesz:u8 memsz:u8 align:u8")
_SECTION_INFO_AT = 44  # sh_info within a section header
_PN_XNUM = 0xFFFF
_ELFCLASS64, _ELFDATA2LSB, _ET_CORE, _EM_X86_64 = 2, 1, 4, 62
_PT_LOAD, _PT_NOTE = 1, 4
_TYPES = {1: "object file", 2: "executable", 3: "shared object"}
_ADDRESS_LIMIT = 1 << 52  # x86 physical addresses have at most 52 bits
_NOTES_LIMIT = 16 << 20  # 4095 CPUs need 3.3 MB
_NOT_ZERO = ("QEMU", "VBCORE", "VMCOREINFO")
"""Owners of notes in cores whose p_memsz beyond p_filesz says nothing of what is there."""


class ElfCore(FileTarget):
    """An ELF core whose segments have physical addresses. Memory it holds several times is read from the first segment.

    Raises:
        TargetError: it is no x86-64 core, its headers are cut, or its segments have no physical addresses.
    """

    kind = "ELF core"

    def _open(self) -> None:
        header = self._header()
        segments = self._segments(header)
        self.notes = self._notes(segments[segments["type"] == _PT_NOTE])
        self._extents = self._memory(segments[segments["type"] == _PT_LOAD])

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes of physical memory. Raises NotReadable."""
        return self._read_pieces(address, size, self._extents.locate(address, size))

    def memory(self) -> Ranges:
        """The physical memory that the segments hold, adjacent ones merged, without what is zero and left out."""
        return self._extents.ranges(below=ZEROS)

    def _header(self) -> Any:
        path = self._file.path
        raw = self._source.read(0, _HEADER.itemsize)
        if raw[:4] != MAGIC:
            raise TargetError(f"{path} is not an ELF file")
        if len(raw) < _HEADER.itemsize:
            raise TargetError(f"{path} is cut short: {len(raw)} bytes of an ELF header of {_HEADER.itemsize}")
        header = np.frombuffer(raw, _HEADER)[0]
        if header["data"] != _ELFDATA2LSB:
            raise TargetError(f"{path} is a big-endian ELF file; expected a core of an x86-64 machine")
        if header["type"] != _ET_CORE:
            what = _TYPES.get(int(header["type"]), f"file of type {header['type']}")
            raise TargetError(f"{path} is an ELF {what}, not a core: if it is a xen-syms, give it with --symbols")
        if header["class"] != _ELFCLASS64:
            raise TargetError(
                f"{path} is a 32-bit ELF core; expected a 64-bit one"
                " (QEMU writes a 32-bit one while CPU 0 is not in 64-bit mode)"
            )
        if header["machine"] != _EM_X86_64:
            raise TargetError(f"{path} is a core of ELF machine {header['machine']}; expected {_EM_X86_64} (x86-64)")
        return header

    def _segments(self, header: Any) -> NDArray[np.void]:
        count, at = int(header["phnum"]), int(header["phoff"])
        if count == _PN_XNUM:  # then the first section header holds the count (gABI, "Program Header")
            info = self._source.read(int(header["shoff"]) + _SECTION_INFO_AT, 4)
            if len(info) < 4:
                raise TargetError(
                    f"{self._file.path} is cut short: its section header, with the segment count, is missing"
                )
            count = int.from_bytes(info, "little")
        if count and header["phentsize"] != _SEGMENT.itemsize:
            raise TargetError(
                f"{self._file.path} has program headers of {header['phentsize']} bytes; expected {_SEGMENT.itemsize}"
            )
        raw = self._source.read(at, count * _SEGMENT.itemsize)
        if len(raw) < count * _SEGMENT.itemsize:
            there = len(raw) // _SEGMENT.itemsize
            raise TargetError(f"{self._file.path} is cut short: {there} of its {count} program headers are there")
        return np.frombuffer(raw, _SEGMENT)

    def _notes(self, segments: NDArray[np.void]) -> list[Note]:
        notes: list[Note] = []
        budget = _NOTES_LIMIT
        whole = True
        for segment in segments:
            wanted = int(segment["filesz"])
            raw = self._source.read(int(segment["offset"]), min(wanted, budget))
            found, complete = parse_notes(raw)
            notes += found
            whole &= complete and len(raw) == wanted
            budget -= len(raw)
            if not budget:
                break
        if not whole:
            self._warn("its notes are cut short or damaged: CPUs may be missing")
        return notes

    def _memory(self, segments: NDArray[np.void]) -> Extents:
        path = self._file.path
        if not segments["filesz"].any():
            raise TargetError(f"{path} is an ELF core that holds no memory")
        if len(segments) > 1 and not segments["paddr"].any() and segments["vaddr"].any():
            raise TargetError(
                f"{path} is a core without physical addresses (of a process, or by gdb's gcore);"
                " expected a dump of physical memory, such as QEMU's dump-guest-memory"
            )
        limit = segments["memsz"] if self._zeros_left_out() else segments["filesz"]
        held = np.maximum(segments["filesz"], limit)
        segments, held = segments[held > 0], held[held > 0]
        sane = (segments["paddr"] < _ADDRESS_LIMIT) & (held <= _ADDRESS_LIMIT - segments["paddr"])
        if not sane.all():
            self._warn(f"{np.count_nonzero(~sane)} segments have impossible physical addresses and are left out")
            segments, held = segments[sane], held[sane]
        offsets = np.minimum(segments["offset"], np.uint64(self._source.size))
        sizes = np.minimum(segments["filesz"], np.uint64(self._source.size) - offsets)
        cut = sizes < segments["filesz"]
        if cut.any():
            ends = segments["offset"][cut].astype(float) + segments["filesz"][cut]
            self._warn(
                f"the file is cut short: it has {self._source.size} bytes where about {ends.max():.0f} are due;"
                f" {np.count_nonzero(cut)} of {len(segments)} segments are incomplete"
            )
        zeros = np.flatnonzero(held > segments["filesz"])
        extents = Extents(
            np.concatenate((segments["paddr"], segments["paddr"][zeros] + segments["filesz"][zeros])),
            np.concatenate((sizes, held[zeros] - segments["filesz"][zeros])),
            np.concatenate((offsets, np.full(len(zeros), ZEROS, np.uint64))),
        )
        if not sizes.any():
            raise TargetError(
                f"{path} is cut short: only its headers are there" if cut.any() else f"{path} holds no memory"
            )
        self._look_for_unmapped(segments, offsets, sizes)
        return extents

    def _zeros_left_out(self) -> bool:
        """Whether what a segment has in memory and not in the file is zero, as the gABI says and makedumpfile writes.

        QEMU means what it did not write, VirtualBox device memory, and a filtered dump of Linux any excluded page.
        """
        return not any(note.owner in _NOT_ZERO for note in self.notes)

    def _look_for_unmapped(
        self, segments: NDArray[np.void], offsets: NDArray[np.uint64], sizes: NDArray[np.uint64]
    ) -> None:
        """QEMU with paging=true writes all memory to the file, but segments only for what the CPUs' page tables map."""
        if any(note.owner == "QEMU" for note in self.notes) and (segments["vaddr"] != segments["paddr"]).any():
            lost = self._source.size - int(offsets.min()) - Extents(offsets, sizes, offsets).size
            if lost >= PAGE_SIZE:
                self._warn(
                    f"{lost >> 10} KiB of its memory belong to no segment: with paging=true QEMU leaves out what no CPU"
                    " maps, such as the ACPI tables; dump with paging=false to have them"
                )
