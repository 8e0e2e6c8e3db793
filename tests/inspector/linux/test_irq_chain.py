"""Every irq, and the controllers behind it."""

from __future__ import annotations

import struct

import pytest

from inspector.linux.irq_chain import irqs
from structs.xen.errors import ProfileError
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_interrupts import MSIX


@pytest.mark.parametrize("kind", ["maple", "xarray"])
def test_irqs_chains_and_handlers_of_both_trees(made, interrupts, kind):
    interrupts.usual()
    interrupts.tree(kind)
    absent = []
    every = {irq.irq: irq for irq in irqs(found(made)[0], absent)}
    assert absent == []
    assert list(every) == [4, 7, 24, 30]
    assert [link.chip for link in every[30].chain] == [MSIX, "INTEL-IR", "APIC"]
    assert every[30].label == f"{MSIX} 2-edge"
    assert every[4].label == "IR-IO-APIC 4-edge"
    assert every[4].actions == ("ttyS0", "shared")
    assert (every[4].affinity, every[4].effective) == ((0, 1), (0,))
    assert every[4].link("IO-APIC") is every[4].chain[0]
    assert every[7].link("IO-APIC") is None
    assert every[7].actions == ()


def test_an_irq_that_is_not_where_the_tree_says_is_told_and_the_others_are_there(made, interrupts):
    interrupts.usual()
    at = interrupts.descs[24] + made.offset("irq_desc", "irq_data.irq")
    made.write(at, struct.pack("<I", 25))
    interrupts.descs[31] = 1 << 46
    interrupts.tree()
    absent = []
    assert [irq.irq for irq in irqs(found(made)[0], absent)] == [4, 7, 30]
    (one,) = absent
    assert str(one) == "Linux's irqs: 2 of Linux's irq_desc cannot be read or are of another irq: 24, 31"


def test_a_broken_tree_is_told(made, interrupts):
    interrupts.usual()
    interrupts.tree()
    made.write(made.symbols["sparse_irqs"] + 8, struct.pack("<Q", 1 << 40 | 2))
    absent = []
    assert irqs(found(made)[0], absent) == []
    assert "cannot be read" in absent[0].why


def test_handlers_that_loop_end(made, interrupts):
    interrupts.usual()
    action = interrupts.action("again")
    made.write(action + made.offset("irqaction", "next"), struct.pack("<Q", action))
    interrupts.irq(9, {"action": action}, ("XT-PIC", 0))
    interrupts.tree()
    every = {irq.irq: irq for irq in irqs(found(made)[0], [])}
    assert every[9].actions == ("again",)


def test_a_chain_that_loops_ends(made, interrupts):
    data = made.put("irq_data", chip=interrupts.chips["APIC"])
    made.write(data + made.offset("irq_data", "parent_data"), struct.pack("<Q", data))
    desc = interrupts.irq(5, {}, ("XT-PIC", 0))
    made.write(desc + made.offset("irq_desc", "irq_data.parent_data"), struct.pack("<Q", data))
    interrupts.tree()
    (irq,) = irqs(found(made)[0], [])
    assert 1 < len(irq.chain) <= 8


def test_a_kernel_that_names_no_tree_is_told(made):
    with pytest.raises(ProfileError, match="has no symbol sparse_irqs or irq_desc_tree"):
        irqs(found(made)[0], [])
