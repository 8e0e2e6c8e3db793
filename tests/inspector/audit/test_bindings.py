"""Guest MSIs that Xen has bound, against the entries."""

from __future__ import annotations

import pytest

from inspector.model.snapshot import Binding

NIC = 0x0018
ENTRY0 = "unit 0 entry 0x18"
GMSI = "arch.hvm.dpci.gmsi"


@pytest.fixture(params=[False, True], ids=["xapic", "x2apic"])
def bound(request, machine_type):
    """A machine of a build that describes its pirqs."""
    return machine_type("4.20", request.param)


def test_they_are_found_in_the_tree(bound):
    first, second = bound.layout.device(NIC).msis
    (domain,) = [domain for domain in bound.snapshot().domains if domain.domain == 1]
    assert domain.bindings == (Binding(first.irq, 0x61, 0, True), Binding(second.irq, 0x62, 2, True))
    assert bound.found() == {}


def test_an_entry_that_is_posted_though_its_binding_is_not(bound):
    pirq = bound.layout.device(NIC).msis[0].pirq
    bound.layout.put("pirq", pirq, {f"{GMSI}.posted": 0, f"{GMSI}.dest_vcpu_id": -1})
    assert bound.found() == {"D18": [f"bug {ENTRY0}"]}


def test_an_entry_that_posts_another_vector(bound):
    bound.layout.put("pirq", bound.layout.device(NIC).msis[0].pirq, {f"{GMSI}.gvec": 0x63})
    assert bound.found() == {"D18": [f"bug {ENTRY0}"]}


def test_a_tree_that_leads_nowhere_is_told(bound):
    bound.layout.put("domain", bound.layout.domain(1), {"pirq_tree.height": 9})
    assert bound.found() == {"D28": ["warning machine"]}
    bound.layout.put("domain", bound.layout.domain(1), {"pirq_tree.height": 2, "pirq_tree.rnode": 0x1234_5001})
    assert bound.found() == {"D28": ["warning machine"]}
