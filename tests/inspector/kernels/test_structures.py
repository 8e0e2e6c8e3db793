"""The few ways in which a kernel's memory is read."""

from __future__ import annotations

import pytest

from inspector.kernels.structures import FEW, BrokenList


def test_few_structures_are_read_as_many_are(layout, look):
    xen = look()
    addresses = [layout.virtual(layout.vcpu(1, vcpu)) for vcpu in range(3)] + [1 << 46]
    few = xen.structs("vcpu", addresses, "vcpu_id", "processor", "pause_flags")
    many = xen.structs("vcpu", addresses * FEW, "vcpu_id", "processor", "pause_flags")
    assert few == many[: len(few)]
    assert [row and row["vcpu_id"] for row in few] == [0, 1, 2, None]


def test_an_array_of_structures_is_read_as_one(look):
    xen = look()
    irqs = xen.struct_array("irq_desc", xen.pointer("irq_desc"), 4, "irq")
    assert [row["irq"] for row in irqs] == [0, 1, 2, 3]


def test_a_list_is_followed_to_its_end_and_no_further(layout, look):
    xen = look()
    head = layout.profile.symbol("acpi_drhd_units")
    nodes = xen.list_nodes(head)
    assert len(nodes) == len(layout.units)
    with pytest.raises(BrokenList, match="more than 0 nodes"):
        xen.list_nodes(head, 0)
