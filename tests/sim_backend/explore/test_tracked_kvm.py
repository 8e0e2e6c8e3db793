"""The machine with KVM on a view, and back again."""

from __future__ import annotations

from sim_backend.explore import Limits, explore
from sim_backend.explore.materialise import materialised, values
from sim_backend.explore.tracked import tracked_machine
from sim_backend.explore.tracked_kvm import TrackedKvm
from sim_backend.logic.kvm.versions import KVM
from sim_backend.machine.history import started
from sim_backend.machine.kvm import KvmMachine
from sim_backend.machine.kvm_invariants import problems
from sim_backend.scenario.scenario import load


def test_first_values_are_the_machines():
    machine = started(load("kvm-migrated"), KVM)
    tracked = tracked_machine(machine)
    assert isinstance(tracked, TrackedKvm)
    v = machine.vcpu("vm1v0")
    assert tracked.first(v) == machine.memory.u64(v)
    assert tracked.first(("machine", "reschedule", 0)) == 0
    assert tracked.first(("CPU 0", "where")) == (machine.cpus[0].current, machine.cpus[0].guest)


def test_a_state_is_a_machine_in_which_all_holds():
    found = explore(load("kvm-emulated"), KVM, Limits())
    rows = found.search.states.rows[: found.search.states.count]
    for row in rows[:: max(len(rows) // 50, 1)]:
        machine = materialised(found.machine, values(found.search.fields, row))
        assert isinstance(machine, KvmMachine)
        assert problems(machine) == []
