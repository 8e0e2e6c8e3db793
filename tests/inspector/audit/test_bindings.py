"""Guest MSIs that Xen has bound, against the entries."""

from __future__ import annotations

import pytest

from inspector.look import Look
from inspector.snapshot import Binding
from inspector.xen.pirqs import MEMBERS, pirqs

NIC = 0x0018
ENTRY0 = "unit 0 entry 0x18"


@pytest.fixture
def bound(machine):
    """Domain 1's pirqs 5 and 200 (a tree of two levels) bound to the NIC's interrupts, the first of them as posted."""
    layout = machine.layout
    if not all(layout.profile.has("pirq", member) for member in MEMBERS):
        pytest.skip("this build's profile does not describe struct hvm_pirq_dpci")
    machine.pirqs = []
    for msi, vcpu, vector in zip(layout.device(NIC).msis, (0, 2), (0x61, 0x62), strict=True):
        pirq = layout.new("pirq")
        gmsi = {"gmsi.gvec": vector, "gmsi.dest_vcpu_id": vcpu, "gmsi.posted": 1, "flags": 0x26}
        layout.put("pirq", pirq, {"arch.irq": msi.irq, **{f"arch.hvm.dpci.{name}": v for name, v in gmsi.items()}})
        machine.pirqs.append(pirq)
    top, low, high = (layout.new_pages() for _ in range(3))
    for slot, node in ((0, low), (3, high)):
        layout.memory.set_u64(top + 8 + 8 * slot, layout.virtual(node))
    layout.memory.set_u64(low + 8 + 8 * 5, layout.virtual(machine.pirqs[0]))
    layout.memory.set_u64(high + 8 + 8 * (200 - 192), layout.virtual(machine.pirqs[1]))
    layout.put("domain", layout.domain(1), {"pirq_tree.height": 2, "pirq_tree.rnode": layout.virtual(top) | 1})
    return machine


def test_they_are_found_in_the_tree(bound):
    first, second = bound.layout.device(NIC).msis
    snapshot = bound.snapshot()
    (domain,) = [domain for domain in snapshot.domains if domain.domain == 1]
    assert domain.bindings == (Binding(first.irq, 0x61, 0, True), Binding(second.irq, 0x62, 2, True))
    assert bound.found() == {}
    xen = Look(bound.target).xen
    assert pirqs(xen, domain.address) == [bound.layout.virtual(pirq) for pirq in bound.pirqs]


def test_an_entry_that_is_posted_though_its_binding_is_not(bound):
    bound.layout.put(
        "pirq", bound.pirqs[0], {"arch.hvm.dpci.gmsi.posted": 0, "arch.hvm.dpci.gmsi.dest_vcpu_id": 0xFFFFFFFF}
    )
    assert bound.found() == {"D18": [f"bug {ENTRY0}"]}


def test_a_tree_that_leads_nowhere_is_told(bound):
    bound.layout.put("domain", bound.layout.domain(1), {"pirq_tree.height": 9})
    assert bound.found() == {"D28": ["warning machine"]}
    bound.layout.put("domain", bound.layout.domain(1), {"pirq_tree.height": 2, "pirq_tree.rnode": 0x1234_5001})
    assert bound.found() == {"D28": ["warning machine"]}
