"""Situations of a vCPU of KVM's, from memory that the states of 6.12 are written into."""

from __future__ import annotations

import pytest

from inspector.analysis.glossary import entry
from inspector.analysis.kvm_situation import KVM_SITUATIONS
from inspector.analysis.situation import SITUATIONS as NAMED
from inspector.analysis.situation import situation
from inspector.audit import audit
from inspector.capture.inspection import Inspection
from tests.inspector.linux.kvm_states import SITUATIONS, WAKEUP, OneVcpu, a_layout, the_vcpu
from tests.inspector.linux.laid import Laid


@pytest.mark.parametrize("x2apic", [False, True])
@pytest.mark.parametrize("cpu", [0, 1])
@pytest.mark.parametrize("name", SITUATIONS)
def test_each_is_told_with_evidence_and_nothing_is_wrong_with_it(name, cpu, x2apic):
    layout = a_layout(x2apic)
    SITUATIONS[name](OneVcpu(layout, 1), cpu)
    snapshot, vcpu = the_vcpu(layout, 1)
    found = situation(snapshot, vcpu)
    assert (found.id, found.title) == (name, NAMED[name])
    assert found.evidence
    assert audit(snapshot) == []


def test_all_have_a_name_and_an_explanation():
    assert set(SITUATIONS) == set(KVM_SITUATIONS)
    for name in KVM_SITUATIONS:
        assert entry(name.lower()).title == KVM_SITUATIONS[name]
        assert len(entry(name).text) > 100


def test_what_no_situation_is():
    layout = a_layout()
    OneVcpu(layout).in_user_space().pi(WAKEUP).listed()
    snapshot, vcpu = the_vcpu(layout)
    assert situation(snapshot, vcpu).id == "between"


def test_without_a_descriptor_the_rest_is_told():
    layout = a_layout()
    OneVcpu(layout).blocked_masked()
    page = layout.pi_desc(1234, 0) >> 12
    target = Laid(layout)
    target.lost_pages.add(page)
    snapshot = Inspection(target).snapshot
    vcpu = snapshot.by_name["vm1234v0"]
    assert vcpu.pi is None
    assert situation(snapshot, vcpu).id == "K5"
    assert any("PI descriptor" in line for line in snapshot.problems)
