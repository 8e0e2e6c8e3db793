"""Runs of a machine with KVM: what holds at every step, copies, files."""

from __future__ import annotations

import pytest

from sim_backend.logic.kvm.versions import KVM, KVM_PREEMPT
from sim_backend.machine.checkpoint import read
from sim_backend.machine.kvm import KvmMachine, linux_config
from sim_backend.machine.kvm_invariants import problems
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import BUNDLED, load

STEPS = 6000
EVERY = 7


@pytest.mark.parametrize("version", [KVM, KVM_PREEMPT], ids=lambda version: version.name)
@pytest.mark.parametrize("name", BUNDLED)
def test_invariants_hold_in_every_scenario(name, version):
    machine = KvmMachine(load(name), version, seed=11)
    done = 0
    while done < STEPS:
        ran = machine.run(EVERY)
        done += ran
        assert problems(machine) == []
        if ran < EVERY:
            break
    assert machine.crashed is None
    assert machine.state.lost == 0
    assert done >= STEPS or name == "idle"


def test_the_same_seed_gives_the_same_bytes():
    digests = set()
    for seed in (1, 1, 2):
        machine = KvmMachine(load("wakeup-storm"), seed=seed)
        machine.run(3000)
        digests.add((seed, machine.digest()))
    assert len(digests) == 2


def test_a_copy_goes_its_own_way():
    machine = KvmMachine(load("wakeup-storm"), KVM_PREEMPT, seed=3)
    machine.run(2000)
    other, before = machine.copy(), machine.digest()
    other.run(500)
    assert machine.digest() == before
    machine.run(500)
    assert machine.digest() == other.digest()


def test_a_saved_machine_goes_on(tmp_path):
    machine = KvmMachine(load("oversubscribed"), seed=3)
    machine.run(2000)
    machine.save(tmp_path / "machine")
    again = read(tmp_path / "machine")
    assert isinstance(again, KvmMachine)
    assert again.digest() == machine.digest()
    assert again.run(500) == machine.run(500)
    assert again.digest() == machine.digest()


def test_a_vcpu_has_two_names():
    machine = KvmMachine(load("one-device"))
    assert machine.vcpu("vm1v1") == machine.vcpu("d1v1")
    assert machine.vcpu_name(machine.vcpu("d1v1")) == "vm1v1"
    with pytest.raises(SimError, match="no vCPU vm1v9"):
        machine.vcpu("vm1v9")


def test_where_a_cpu_is():
    machine = KvmMachine(load("idle"))
    assert [machine.where(cpu) for cpu in range(len(machine.cpus))] == ["idle"] * len(machine.cpus)
    machine.settle()
    assert "guest" in [machine.where(cpu) for cpu in range(len(machine.cpus))]


def test_a_profile_of_linux_is_taken_where_none_is_named():
    assert linux_config(load("idle").layout).profile == "6.12"
