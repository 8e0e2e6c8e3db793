"""What must hold at every step: that it is found when it does not."""

from __future__ import annotations

import pytest

from sim_backend.logic.pi import VPF_BLOCKED
from sim_backend.logic.versions import CURRENT, SEED
from sim_backend.logic.workload import Workload
from sim_backend.machine.invariants import INVARIANTS, applicable, problems
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def blocked(machine):
    machine.block("d1v0")
    machine.settle()
    return machine.vcpu("d1v0")


def broken(machine):
    return {line.partition(":")[0] for line in problems(machine, INVARIANTS)}


def test_nothing_is_wrong_at_rest(machine):
    assert broken(machine) == set()
    blocked(machine)
    assert broken(machine) == set()


def test_each_is_found(machine):
    v, o, memory = blocked(machine), machine.o, machine.memory
    running = next(each for each in machine.state.scheduled if each in machine.names)
    damages = {
        "descriptors are sound": lambda m: m.memory.set_u8(v + o.nv, 0x44),
        "locks are held once": lambda m: m.memory.set_u32(m.context.blocking_lock(0), 0x20000),
        "the scheduler is sound": lambda m: m.state.runq[0].extend([v, v]),
        "lists are sound": lambda m: m.memory.set_u64(
            v + o.node_lock, m.context.virtual(m.context.blocking_lock(0)) ^ 8
        ),
        "before VM entry the descriptor is restored": lambda m: m.memory.set_u8(running + o.control, 2),
        "in the guest notifications come to its CPU": lambda m: m.memory.set_u32(running + o.ndst, 0x7700),
        "who is blocked can be woken": lambda m: m.memory.set_u8(v + o.nv, 0xF2),
        "a wakeup is on its way": lambda m: m.memory.set_u8(v + o.control, 1),
    }
    for name, damage in damages.items():
        other = machine.copy()
        damage(other)
        assert name in broken(other), name
    assert memory.u32(v + o.pause_flags) == 1 << VPF_BLOCKED


def test_the_first_version_is_not_asked_for_what_it_did_not_hold():
    quiet, moving = Workload(), Workload(hotplug=1)
    assert len(applicable(SEED, moving)) < len(applicable(CURRENT, moving)) <= len(applicable(CURRENT, quiet))
