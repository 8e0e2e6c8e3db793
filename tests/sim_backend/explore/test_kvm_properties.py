"""Properties of KVM's logic are told and hold in a machine at rest."""

from __future__ import annotations

from sim_backend.explore import properties_of
from sim_backend.explore.kvm_properties import KVM_PROPERTIES, recorded
from sim_backend.explore.properties import PROPERTIES
from sim_backend.logic.kvm.versions import KVM
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import started
from sim_backend.scenario.scenario import load


def test_each_hypervisor_has_its_own():
    assert properties_of(KVM) is KVM_PROPERTIES
    assert properties_of(CURRENT) is PROPERTIES
    assert all(asked.words for asked in KVM_PROPERTIES)


def test_an_entry_that_is_not_as_routed_is_seen():
    machine = started(load("kvm-moved"), KVM)
    (asked,) = (asked for asked in KVM_PROPERTIES if asked.name == "entries are as routed")
    (test,) = asked.tests(machine)
    assert test(machine)
    msi = machine.layout.device(0x18).msis[0]
    machine.memory.write(machine.layout.irte(msi.unit, msi.index), recorded(machine, msi).to_bytes(16, "little"))
    assert not test(machine)
