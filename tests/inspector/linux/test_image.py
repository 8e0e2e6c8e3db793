"""The image of a Linux, as page tables map it."""

from __future__ import annotations

from inspector.kernels.paging import PageTables
from inspector.linux.image import Image, Stretch
from tests.inspector.linux.made_linux import DATA, RODATA, RODATA_AT, ROOT, TEXT, MadeLinux


def test_stretches_are_told_apart_by_their_rights(made):
    image = Image(PageTables(made.target(), ROOT))
    assert image.stretches == [
        Stretch(TEXT, 0x200000, False, True),
        Stretch(RODATA, 0x400000, False, False),
        Stretch(DATA, 0x400000, True, False),
    ]
    assert image.is_whole
    assert image.text == TEXT


def test_read_only_data_comes_first_and_holes_are_left_out():
    made = MadeLinux()
    target = made.target()
    target.lost_pages = {(RODATA_AT >> 12) + 3}
    parts = list(Image(PageTables(target, ROOT)).read_only())
    assert [(at, len(raw)) for at, raw in parts[:2]] == [(RODATA, 0x3000), (RODATA + 0x4000, 0x400000 - 0x4000)]
    assert {at for at, _ in parts[2:]} == {TEXT, DATA}


def test_tables_that_map_no_kernel_have_no_whole_image(made):
    target = made.target()
    assert not Image(PageTables(target, 0x3000)).is_whole
    assert not Image(PageTables(target, 1 << 40)).is_whole
