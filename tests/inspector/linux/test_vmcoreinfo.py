"""What a Linux leaves for whoever reads its memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.linux import vmcoreinfo
from inspector.linux.vmcoreinfo import parse
from tests.inspector.linux.made_linux import RELEASE, ROOT, MadeLinux


def test_symbols_numbers_and_the_page_table():
    made = MadeLinux()
    made.target()
    told = parse(made.vmcoreinfo_text() + b"\0OSRELEASE=other\n")
    assert told
    assert (told.release, told.root, told.levels) == (RELEASE, ROOT, 4)
    assert told.symbols["kallsyms_names"] == made.symbols["kallsyms_names"]
    assert told.numbers["phys_base"] == 4096


@pytest.mark.parametrize(
    ("text", "root"),
    [
        (b"OSRELEASE=1\nSYMBOL(swapper_pg_dir)=ffffffff82410000\nNUMBER(phys_base)=-10485760\n", 0x1A10000),
        (b"OSRELEASE=1\nSYMBOL(swapper_pg_dir)=ffffffff82410000\n", None),
        (b"OSRELEASE=1\nSYMBOL(swapper_pg_dir)=ffff\nNUMBER(phys_base)=0\n", None),
        (b"OSRELEASE=1\nSYMBOL(swapper_pg_dir)=ffffffff80000000\nNUMBER(phys_base)=-4096\n", None),
        (b"OSRELEASE=1\nSYMBOL(swapper_pg_dir)=zz\nNUMBER(phys_base)=9999999999999999999999999\n", None),
    ],
)
def test_a_page_table_that_cannot_be_is_none(text, root):
    assert parse(text).root == root


def test_five_levels():
    assert parse(b"OSRELEASE=1\nNUMBER(pgtable_l5_enabled)=1\n").levels == 5


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw):
    assert parse(raw) is None or raw.startswith(vmcoreinfo.FIRST)
    told = parse(vmcoreinfo.FIRST + raw)
    assert told is not None


def test_it_is_found_in_memory_as_a_page_and_behind_a_notes_header():
    made = MadeLinux(vmcoreinfo=True)
    target = made.target()
    target.raw[0xF02018 : 0xF02018 + 2048] = made.vmcoreinfo_text().ljust(2048, b"\0")
    assert [told.root for told in vmcoreinfo.in_memory(target)] == [ROOT, ROOT]
    target.lost_pages = {0xF00000 >> 12}
    assert [told.root for told in vmcoreinfo.in_memory(target)] == [ROOT]
    target.scannable = False
    assert list(vmcoreinfo.in_memory(target)) == []


def test_a_dumps_own_note_is_read(made):
    target = made.target()
    assert vmcoreinfo.told(target) is None
    target.vmcoreinfo = made.vmcoreinfo_text()
    assert vmcoreinfo.told(target).root == ROOT
