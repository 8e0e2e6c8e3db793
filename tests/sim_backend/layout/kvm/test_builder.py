"""How a Linux's addresses translate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.kernels.paging import PageTables
from sim_backend.layout.kvm.builder import DIRECT_MAP, TEXT, TEXT_PLACE
from sim_backend.memory.errors import SimError
from tests.inspector.linux.laid import Laid
from tests.sim_backend.layout.kvm.conftest import LAYOUT


@given(st.integers(0, LAYOUT.memory.size - 1))
def test_virtual_and_physical_are_inverse_and_as_the_page_tables_say(address):
    virtual = LAYOUT.virtual(address)
    assert LAYOUT.physical(virtual) == address
    tables = PageTables(Laid(LAYOUT), LAYOUT.root)
    assert tables.translate(virtual) == tables.translate(DIRECT_MAP + address) == address


@pytest.mark.parametrize("name", ["vm_list", "sparse_irqs", "linux_banner", "_text", "enable_ipiv"])
def test_symbols_are_where_the_page_tables_map_them(name):
    tables = PageTables(Laid(LAYOUT), LAYOUT.root)
    assert tables.translate(LAYOUT.profile.symbol(name)) == LAYOUT.symbol(name)


def test_what_is_not_mapped(layout):
    assert layout.physical(TEXT) == TEXT_PLACE
    with pytest.raises(SimError, match="neither in Linux's image"):
        layout.physical(TEXT + (32 << 20))
    with pytest.raises(SimError, match="does not map"):
        layout.virtual(layout.memory.size)


def test_more_of_the_image_can_be_there(layout):
    start = TEXT + (30 << 20)
    place = layout.map_image(start + 5, 0x2000)
    layout.write_virtual(start, b"x" * 0x2800)
    assert layout.memory.read(place, 3) == b"xxx"
    assert layout.map_image(start + 5, 0x2000) == place
    assert layout.map_image(TEXT + 8, 64) == TEXT_PLACE + 8
