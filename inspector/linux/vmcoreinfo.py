"""vmcoreinfo: what a Linux leaves for whoever reads its memory, as a text of `KEY=VALUE` lines.

It is a note of a dump (makedumpfile's, /proc/vmcore, and QEMU's where the guest has told its fw_cfg device); and always
a page of the kernel's memory.

Source: kernel documentation, admin-guide/kdump/vmcoreinfo.rst; kernel/vmcore_info.c (crash_core.c before 6.9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from inspector.kernels.paging import PAGE
from inspector.targets.target import Target
from structs.frozen import frozen

FIRST = b"OSRELEASE="
"""The first line begins so; the text begins a page, or follows the header of a note that does."""
OWNER = "VMCOREINFO"
NOTE_HEADER = 24
SCAN_BYTES = 4 << 20
LINE = re.compile(rb"^([A-Z_-]+)(?:\(([\w.]+)\))?=([ -~]*)$", re.MULTILINE)
KERNEL_MAP = 0xFFFFFFFF80000000
"""__START_KERNEL_map: from here on virtual addresses of the image count, physical ones from `phys_base` on."""


@frozen
class Vmcoreinfo:
    """What it says: the release, addresses by symbol, numbers by name."""

    release: str
    symbols: Mapping[str, int]
    numbers: Mapping[str, int]

    @property
    def root(self) -> int | None:
        """The physical address of the kernel's own page table; None if it does not tell, or tells nonsense."""
        table, base = self.symbols.get("swapper_pg_dir"), self.numbers.get("phys_base")
        if table is None or base is None or table < KERNEL_MAP:
            return None
        root = table - KERNEL_MAP + base
        return root if 0 <= root < 1 << 52 and root % PAGE == 0 else None

    @property
    def levels(self) -> int:
        """How many levels its page tables have."""
        return 5 if self.numbers.get("pgtable_l5_enabled") else 4


def parse(text: bytes) -> Vmcoreinfo | None:
    """What a text says; None if it is no vmcoreinfo."""
    text = text.split(b"\0", 1)[0]
    if not text.startswith(FIRST):
        return None
    release, symbols, numbers = "", {}, {}
    for key, name, value in LINE.findall(text):
        try:
            if key == b"OSRELEASE":
                release = value.decode()
            elif key == b"SYMBOL" and len(value) <= 16:
                symbols[name.decode()] = int(value, 16)
            elif key == b"NUMBER" and len(value) <= 20:
                numbers[name.decode()] = int(value)
        except ValueError:
            continue
    return Vmcoreinfo(release, symbols, numbers)


def told(target: Target) -> Vmcoreinfo | None:
    """What the notes of a dump say; None if they have none."""
    return parse(target.vmcoreinfo) if target.vmcoreinfo else None


def in_memory(target: Target) -> Iterator[Vmcoreinfo]:
    """Those that lie in memory; none where a search of it costs too much."""
    for known in (target.memory() or ()) if target.scannable else ():
        for start in range(known.start + PAGE - 1 & ~(PAGE - 1), known.end - PAGE + 1, SCAN_BYTES):
            size = min(SCAN_BYTES, known.end - start) & ~(PAGE - 1)
            raw = target.read_parts([(start, size)])[0]
            parts = [(start, raw)] if raw is not None else _pages(target, start, size)
            for at, part in parts:
                yield from _in_pages(target, at, part)


def _pages(target: Target, start: int, size: int) -> list[tuple[int, bytes]]:
    places = [(at, PAGE) for at in range(start, start + size, PAGE)]
    found = zip(places, target.read_parts(places), strict=True)
    return [(at, raw) for (at, _), raw in found if raw is not None]


def _in_pages(target: Target, start: int, raw: bytes) -> Iterator[Vmcoreinfo]:
    words = np.frombuffer(raw, "<u8").reshape(-1, PAGE // 8)
    begins = np.uint64(int.from_bytes(FIRST[:8], "little"))
    for column in (0, NOTE_HEADER // 8):
        for page in np.flatnonzero(words[:, column] == begins).tolist():
            at = page * PAGE + 8 * column
            if found := parse(raw[at : at + PAGE]):
                yield found
