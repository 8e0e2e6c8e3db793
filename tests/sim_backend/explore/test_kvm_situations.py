"""Where vCPUs stand."""

from __future__ import annotations

from sim_backend.explore.kvm_situations import K_SITUATIONS, situation
from sim_backend.logic.kvm.versions import KVM
from sim_backend.machine.history import started
from sim_backend.machine.kvm import KvmMachine
from sim_backend.scenario.scenario import load


def test_on_its_way():
    machine = started(load("kvm-migrated"), KVM)
    v = machine.vcpu("vm1v0")
    seen = [situation(machine, v)]
    machine.block("vm1v0")
    while machine.run(1):
        seen.append(situation(machine, v))
    machine.post("00:03.0", 0)
    while machine.run(1):
        seen.append(situation(machine, v))
    assert list(dict.fromkeys(seen)) == ["K1", "K2", "K3", "K4", "K6"]
    assert set(seen) <= K_SITUATIONS.keys()


def test_before_it_was_loaded():
    machine = KvmMachine(load("kvm-migrated"))
    assert situation(machine, machine.vcpu("vm1v0")) == "K10"
