"""Structures in simulated memory, whatever kernel has them."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import Layout
from sim_backend.memory.errors import SimError
from tests.sim_backend.layout.kvm.conftest import LAYOUT as LINUX

XEN = Layout()


@pytest.mark.parametrize("layout", [XEN, LINUX], ids=["xen", "linux"])
def test_lists_are_of_the_kernels_own_addresses(layout):
    layout = layout.copy()
    head, one, other = (layout.new("list_head") for _ in range(3))
    layout.list_init(head)
    assert layout.list_nodes(head) == []
    for node in (one, other):
        layout.list_add_tail(head, node)
    assert layout.list_nodes(head) == [one, other]
    assert layout.get("list_head", head, "prev") == layout.virtual(other)
    layout.list_del(one)
    assert layout.list_nodes(head) == [other]


@pytest.mark.parametrize("layout", [XEN, LINUX], ids=["xen", "linux"])
def test_what_the_profile_does_not_tell_is_refused(layout):
    with pytest.raises(SimError, match="no symbol nowhere"):
        layout.symbol("nowhere")
    with pytest.raises(SimError, match="does not describe struct none"):
        layout.size("none")
    with pytest.raises(SimError, match="no_such_member"):
        layout.member("list_head", "no_such_member")
