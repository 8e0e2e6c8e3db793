"""A Xen of whatever build, found and identified by its image alone."""

from __future__ import annotations

import struct

import pytest

from inspector.targets.open_file import open_file
from inspector.targets.target import Cpu
from inspector.xen import image, locate
from inspector.xen.image import Image

BUILD_4_20 = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"
BASE = image.BASES[0]


def test_by_the_page_tables_of_a_cpu_that_runs_xen(golden):
    with open_file(golden("blocking-in-progress")) as target:
        found = locate.locate(target)
    assert found is not None
    assert found.image.build_id == BUILD_4_20
    assert found.image.version == "4.20.3+127-gc42374a105-0+deb13u1"
    assert not found.image.is_efi


@pytest.mark.parametrize("name", ["two-in-guest", "lost-wakeup"])
def test_by_a_table_that_maps_itself_where_every_cpu_runs_a_guest(golden, name):
    with open_file(golden(name)) as target:
        for root in locate.roots_in_use(target):
            tables = locate.PageTables(target, root)
            assert name == "lost-wakeup" or image.mapped(tables) is None
        found = locate.locate(target)
    assert found is not None
    assert found.image.build_id == BUILD_4_20


def test_memory_without_a_xen(image):
    with open_file(image.path) as target:
        assert locate.locate(target) is None


def test_a_multiboot_header_without_tables_is_no_xen(image):
    magic, flags = 0x1BADB002, 3
    image.put((8 << 20) + (2 << 20), bytes(8) + struct.pack("<III", magic, flags, -(magic + flags) & 0xFFFFFFFF))
    with open_file(image.path) as target:
        assert locate.locate(target) is None


def directory(address: int, guid: bytes, rva: int | None = None) -> bytes:
    """A debug directory with a CodeView record behind it, as the linker leaves it in an EFI image."""
    record = b"RSDS" + guid + struct.pack("<I", 1) + b"\0"
    at = address + 28 - BASE if rva is None else rva
    return struct.pack("<IIHHIIII", 0, 0, 0, 0, 2, len(record), at, 0x1234) + record


def test_the_identity_of_an_efi_image_is_its_codeview_record():
    guid = bytes(range(16))
    address = BASE + 0x200100
    raw = bytes(0x100) + directory(address, guid) + bytes(64)
    found = Image(BASE, ((BASE + 0x200000, raw),))
    assert (found.build_id, found.note_address, found.is_efi) == (guid.hex(), address, True)


def test_a_record_that_another_directory_leads_to_is_not_xens():
    raw = bytes(0x100) + directory(0, bytes(16), rva=0x777) + bytes(64)
    assert Image(BASE, ((BASE + 0x200000, raw),)).build_id is None


def test_a_note_that_is_cut_off_is_none():
    note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0" + bytes(range(20))
    assert Image(BASE, ((BASE + 0x200000, bytes(16) + note),)).build_id == bytes(range(20)).hex()
    assert Image(BASE, ((BASE + 0x200000, bytes(16) + note[:-1]),)).build_id is None


def test_registers_that_lead_nowhere_do_no_harm(golden, monkeypatch):
    with open_file(golden("lost-wakeup")) as target:
        monkeypatch.setattr(target, "cpus", lambda: [Cpu(0, {"cr3": 0xFFFF_F000}), Cpu(1, {"cr3": 0x1000})])
        found = locate.locate(target)
    assert found is not None
    assert found.image.build_id == BUILD_4_20
