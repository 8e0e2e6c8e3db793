"""What every part of the layout stands on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.memory.errors import SimError

LAYOUT = Layout(LayoutConfig(high=4 << 20))


@given(st.integers(0, LAYOUT.memory.size - 1) | st.integers(1 << 32, (1 << 32) + (4 << 20) - 1))
def test_virtual_and_physical_are_inverse(address):
    assert LAYOUT.physical(LAYOUT.virtual(address)) == address


@pytest.mark.parametrize("address", [-1, LAYOUT.memory.size, 1 << 52])
def test_what_xen_does_not_map(address):
    with pytest.raises(SimError, match="does not map"):
        LAYOUT.virtual(address)


def test_members_are_stored_and_read():
    layout = LAYOUT.copy()
    v = layout.vcpu(1, 0)
    layout.put("vcpu", v, {"processor": 1, "is_running": 1})
    assert (layout.get("vcpu", v, "processor"), layout.get("vcpu", v, "is_running")) == (1, 1)
    layout.put_known("vcpu", v, {"no_such_member": 5, "processor": 0})
    assert layout.get("vcpu", v, "processor") == 0
    with pytest.raises(SimError, match="no_such_member"):
        layout.put("vcpu", v, {"no_such_member": 5})


def test_lists():
    layout = LAYOUT.copy()
    head, one, other = (layout.new("list_head") for _ in range(3))
    layout.list_init(head)
    layout.list_add_tail(head, one)
    layout.list_add_tail(head, other)
    assert layout.list_nodes(head) == [one, other]
    layout.list_del(one)
    assert (layout.list_nodes(head), layout.list_nodes(one)) == ([other], [])
