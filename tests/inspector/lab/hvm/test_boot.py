"""What a boot loader would leave in RAM, read back as the Multiboot Specification has it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from inspector.lab import LabError
from inspector.lab.hvm import boot


def text_at(part: boot.Loaded, address: int) -> str:
    return part.data[address - part.address :].split(b"\0")[0].decode()


def test_the_information_names_xen_s_options_its_module_and_the_memory() -> None:
    module = boot.Loaded(boot.MODULE, b"x" * 5000)
    part = boot.information("console=com1", module, 128 << 20)
    words = struct.unpack_from("<17I", part.data)
    flags, lower, upper, _, line, modules, modules_at = words[:7]
    assert flags == boot.HAS_MEMORY | boot.HAS_COMMAND_LINE | boot.HAS_MODULES | boot.HAS_MAP | boot.HAS_LOADER
    assert text_at(part, line) == "xen console=com1"
    assert modules == 1
    start, end, name, _ = struct.unpack_from("<4I", part.data, modules_at - part.address)
    assert (start, end) == (boot.MODULE, boot.MODULE + 5000)
    assert text_at(part, name) == "dom0"
    assert text_at(part, words[16]) == "vtdpi lab"
    size, place = words[11:13]
    regions = list(struct.iter_unpack("<IQQI", part.data[place - part.address :][:size]))
    usable = [(base, length) for _, base, length, kind in regions if kind == boot.USABLE]
    assert usable == [(0, lower << 10), (1 << 20, upper << 10)]
    assert (upper << 10) + (1 << 20) + boot.ACPI == 128 << 20


def elf(*loads: tuple[int, bytes]) -> bytes:
    headers = b"".join(boot.SEGMENT.pack(1, 0x200, at, at, len(data), len(data), 7, 0) for at, data in loads)
    head = b"\x7fELF\x01\x01\x01".ljust(24, b"\0") + struct.pack("<IIIIHHH", 0x200000, 52, 0, 0, 52, 32, len(loads))
    return (head.ljust(52, b"\0") + headers).ljust(0x200, b"\0") + b"".join(data for _, data in loads)


def test_xen_is_its_segment_and_its_entry_point(tmp_path: Path) -> None:
    path = tmp_path / "xen"
    path.write_bytes(elf((0x200000, b"code")))
    assert boot.xen(path) == (boot.Loaded(0x200000, b"code"), 0x200000)


@pytest.mark.parametrize("data", [b"", b"MZ", elf(), elf((0, b"a"), (8, b"b")), elf((0, b"a"))[:40]])
def test_what_is_no_xen_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "xen"
    path.write_bytes(data)
    with pytest.raises(LabError) as raised:
        boot.xen(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
