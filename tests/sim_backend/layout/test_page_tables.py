"""Page tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.layout.builder import DIRECT_MAP, VMAP
from sim_backend.layout.image import LINEAR_SLOT
from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.layout.page_tables import translate
from sim_backend.memory.errors import SimError


@given(data=st.data())
def test_page_tables_agree_with_the_arithmetic(built, data):
    root = built.symbol("idle_pg_table")
    physical = data.draw(st.one_of([st.integers(start, start + size - 1) for start, size in built.memory.ram()]))
    assert translate(built.memory, root, DIRECT_MAP + physical) == physical
    assert translate(built.memory, root, built.virtual(physical)) == physical
    assert built.physical(built.virtual(physical)) == physical


def test_page_tables_map_themselves_the_registers_and_nothing_else(layout):
    root = layout.symbol("idle_pg_table")
    own = LINEAR_SLOT << 39 | LINEAR_SLOT << 30 | LINEAR_SLOT << 21 | LINEAR_SLOT << 12 | 0xFFFF << 48
    assert translate(layout.memory, root, own) == root
    assert translate(layout.memory, root, VMAP + 0xB8) == layout.register(0, "IRTA")
    ends = [DIRECT_MAP + start + size for start, size in layout.memory.ram()]
    for outside in (0, *ends, layout.image_start, 1 << 48):
        with pytest.raises(SimError):
            translate(layout.memory, root, outside)


def test_one_gib_pages_where_memory_is_large():
    layout = Layout(LayoutConfig(ram=(1 << 30) + (4 << 20)))
    root = layout.symbol("idle_pg_table")
    assert translate(layout.memory, root, DIRECT_MAP + (1 << 30) + 5) == (1 << 30) + 5
    table = layout.memory.u64(root + 262 * 8) & 0xF_FFFF_FFFF_F000
    assert layout.memory.u64(table) & 0x80
    assert translate(layout.memory, root, DIRECT_MAP + 0x12345) == 0x12345
