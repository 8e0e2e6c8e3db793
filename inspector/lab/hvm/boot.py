"""What a boot loader would put into RAM: Xen, its module (the dom0) and the multiboot information.

Source: Multiboot Specification 0.6.96, 3.3; Xen is an ELF file of one segment, entered at its lowest address.
"""

from __future__ import annotations

import struct
from pathlib import Path

from inspector.lab import LabError
from structs.frozen import frozen

INFORMATION = 0x10000
MODULE = 16 << 20
ACPI = 64 << 10
"""What Bochs' firmware keeps at the end of RAM for its tables."""

HAS_MEMORY, HAS_COMMAND_LINE, HAS_MODULES, HAS_MAP, HAS_LOADER = 1 << 0, 1 << 2, 1 << 3, 1 << 6, 1 << 9
USABLE, RESERVED, RECLAIMABLE = 1, 2, 3
SEGMENT = struct.Struct("<8I")
LOAD = 1


@frozen
class Loaded:
    """Bytes and the physical address where they belong."""

    address: int
    data: bytes


def xen(image: Path) -> tuple[Loaded, int]:
    """Xen's segment, and its entry point.

    Raises:
        LabError: it is no Xen as Debian builds it.
    """
    try:
        data = image.read_bytes()
        if data[:5] != b"\x7fELF\x01":
            raise LabError(f"{image} is no Xen for this lab: expected an ELF32 multiboot file")
        entry, headers = struct.unpack_from("<II", data, 24)
        size, count = struct.unpack_from("<HH", data, 42)
        segments = [SEGMENT.unpack_from(data, headers + number * size) for number in range(count)]
    except (OSError, struct.error) as error:
        raise LabError(f"{image} cannot be read: {error}") from error
    loads = [segment for segment in segments if segment[0] == LOAD]
    if len(loads) != 1:
        raise LabError(f"{image} is no Xen for this lab: it has {len(loads)} segments to load, expected 1")
    _, offset, _, physical, filled, *_ = loads[0]
    return Loaded(physical, data[offset : offset + filled]), entry


def information(command_line: str, module: Loaded, memory: int) -> Loaded:
    """The multiboot information for a machine of `memory` bytes."""
    end = memory - ACPI
    regions = (
        (0, 0x9F000, USABLE),
        (0x9F000, 0x100000, RESERVED),
        (0x100000, end, USABLE),
        (end, memory, RECLAIMABLE),
        (0xFFFC0000, 1 << 32, RESERVED),
    )
    entries = b"".join(struct.pack("<IQQI", 20, start, stop - start, kind) for start, stop, kind in regions)
    head_size = 88
    strings = b"".join(text.encode() + b"\0" for text in ("dom0", "vtdpi lab", f"xen {command_line}"))
    modules_at = INFORMATION + head_size
    map_at = modules_at + 16
    strings_at = map_at + len(entries)
    loader_at, line_at = strings_at + len("dom0") + 1, strings_at + len("dom0\0vtdpi lab") + 1
    modules = struct.pack("<4I", module.address, module.address + len(module.data), strings_at, 0)
    flags = HAS_MEMORY | HAS_COMMAND_LINE | HAS_MODULES | HAS_MAP | HAS_LOADER
    head = struct.pack(
        "<17I",
        *(flags, 0x9F000 >> 10, (end >> 10) - 1024, 0, line_at, 1, modules_at),
        *(0, 0, 0, 0, len(entries), map_at, 0, 0, 0, loader_at),
    )
    return Loaded(INFORMATION, head.ljust(head_size, b"\0") + modules + entries + strings)
