"""What an image of Xen says of itself."""

from __future__ import annotations

import struct

from inspector.profiles.image import Image
from structs.xen.variants import IMAGE_BASES

BASE = IMAGE_BASES[0]


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
