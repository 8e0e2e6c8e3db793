"""The memory of a Xen guest as `xl dump-core` writes it: an ELF core that has sections and no segments.

Such a guest may itself run a Xen, with a virtual VT-d unit. Only what a hardware-virtualised guest has is read: the
pages' numbers are its physical addresses.
Source: Xen docs/misc/dump-core-format.txt.
"""

from __future__ import annotations

import numpy as np

from inspector.base.errors import TargetError
from inspector.targets.dump.binary_layout import layout
from inspector.targets.dump.file import PAGE_SIZE, Extents, FileTarget, Source
from inspector.targets.ranges import Ranges
from inspector.targets.target import Cpu

_SECTION = layout("name:u4 type:u4 flags:u8 addr:u8 offset:u8 size:u8 link:u4 info:u4 align:u8 entsize:u8")
_PHNUM_AT, _SHOFF_AT, _SHNUM_AT = 56, 40, 60
_SECTIONS_LIMIT = 4096
_NAMES_LIMIT = 1 << 20
_CONTEXT_SIZE = 5168
"""Of `struct vcpu_guest_context`, x86-64 (xen/include/public/arch-x86/xen.h)."""
_REGISTERS_AT = {"rip": 648, "eflags": 664, "rsp": 672, "cr3": 4984 + 3 * 8}
"""Of its user_regs and ctrlreg[]."""
_PFN_LIMIT = 1 << 40


def is_domain_core(source: Source) -> bool:
    """Whether an ELF file has Xen's sections in place of segments."""
    head = source.read(0, 64)
    if len(head) < 64 or head[:4] != b"\x7fELF" or int.from_bytes(head[_PHNUM_AT : _PHNUM_AT + 2], "little"):
        return False
    return b".xen_pages" in _sections(source)


class DomainCore(FileTarget):
    """A guest's memory. Raises TargetError: it is of a paravirtualised guest, or its sections make no sense."""

    kind = "core of a Xen domain"

    def _open(self) -> None:
        path = self._file.path
        sections = _sections(self._source)
        if b".xen_p2m" in sections:
            raise TargetError(
                f"{path} is a core of a paravirtualised domain, whose memory has no physical addresses of its own;"
                " expected one of a hardware-virtualised domain, or of the whole machine"
            )
        if b".xen_pfn" not in sections or b".xen_pages" not in sections:
            raise TargetError(f"{path} is a core of a Xen domain without .xen_pfn and .xen_pages: it is damaged")
        numbers, pages = sections[b".xen_pfn"], sections[b".xen_pages"]
        raw = self._source.read(int(numbers["offset"]), min(int(numbers["size"]), self._source.size))
        pfns = np.frombuffer(raw, "<u8", len(raw) // 8)
        held = max(0, self._source.size - int(pages["offset"])) // PAGE_SIZE
        if held < len(pfns):
            self._warn(f"the file is cut short: {held} of its {len(pfns)} pages are there")
        offsets = int(pages["offset"]) + np.arange(min(held, len(pfns)), dtype=np.int64) * PAGE_SIZE
        pfns = pfns[: len(offsets)]
        real = pfns < _PFN_LIMIT
        if not real.any():
            raise TargetError(f"{path} is a core of a Xen domain that holds no memory")
        starts = pfns[real].astype(np.int64) * PAGE_SIZE
        self._extents = Extents(starts, np.full(len(starts), PAGE_SIZE, np.int64), offsets[real])
        self._registers = self._contexts(sections.get(b".xen_prstatus"))

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes of the guest's physical memory. Raises NotReadable."""
        return self._read_pieces(address, size, self._extents.locate(address, size))

    def memory(self) -> Ranges:
        """The guest's physical memory, adjacent pages merged."""
        return self._extents.ranges()

    def cpus(self) -> list[Cpu]:
        """The guest's vCPUs, with some registers of each."""
        return self._registers

    def _contexts(self, section: np.void | None) -> list[Cpu]:
        if section is None or int(section["entsize"]) != _CONTEXT_SIZE:
            return []
        count = min(int(section["size"]) // _CONTEXT_SIZE, _SECTIONS_LIMIT)
        found = []
        for number in range(count):
            raw = self._source.read(int(section["offset"]) + number * _CONTEXT_SIZE, _CONTEXT_SIZE)
            if len(raw) == _CONTEXT_SIZE:
                registers = {name: int.from_bytes(raw[at : at + 8], "little") for name, at in _REGISTERS_AT.items()}
                found.append(Cpu(number, registers))
        return found


def _sections(source: Source) -> dict[bytes, np.void]:
    """The section headers by name; empty if they make no sense."""
    head = source.read(0, 64)
    at, count = int.from_bytes(head[_SHOFF_AT : _SHOFF_AT + 8], "little"), int.from_bytes(head[60:62], "little")
    raw = source.read(at, min(count, _SECTIONS_LIMIT) * _SECTION.itemsize)
    headers = np.frombuffer(raw, _SECTION, len(raw) // _SECTION.itemsize)
    names_at = int.from_bytes(head[62:64], "little")
    if names_at >= len(headers):
        return {}
    names = source.read(int(headers[names_at]["offset"]), min(int(headers[names_at]["size"]), _NAMES_LIMIT))
    return {names[int(h["name"]) :].split(b"\0", 1)[0]: h for h in headers if int(h["name"]) < len(names)}
