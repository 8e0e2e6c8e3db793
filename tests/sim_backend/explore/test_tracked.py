"""The machine on a view: other parts, the same methods."""

from __future__ import annotations

import pytest

from sim_backend.explore.tracked import TrackedMachine, without_unread
from sim_backend.logic.cpu import assist, idle_loop, in_guest, vmx_do_vmentry
from sim_backend.logic.program import PC
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.environment import Environment
from sim_backend.machine.history import started
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture(scope="module")
def machine():
    return started(load("two-blocked"), CURRENT)


def test_no_method_of_a_machine_is_another_one():
    methods = {name for kind in (Machine, Environment) for name in vars(kind) if not name.startswith("__")}
    assert not methods & {name for name in vars(TrackedMachine) if not name.startswith("__")}


def test_first_values_are_the_machines(machine):
    tracked = TrackedMachine(machine)
    assert tracked.first(("machine", "online")) == tuple(machine.state.online)
    assert tracked.first(("machine", "curr", 0)) == machine.state.curr[0]
    assert tracked.first(("CPU 0", "where")) == (machine.cpus[0].current, machine.cpus[0].guest)
    v = machine.vcpu("d1v0")
    assert tracked.first(v) == machine.memory.u64(v)
    with pytest.raises(KeyError):
        tracked.first(("nobody", "doing"))


def test_the_machine_that_it_was_made_of_stays_as_it_is(machine):
    before = machine.digest()
    TrackedMachine(machine)
    assert machine.digest() == before


def at(step, injected=2):
    frame = vmx_do_vmentry.frame(injected)
    frame[PC] = step.pc
    return tuple(frame)


def test_idle_nobody_reads_a_result():
    idle = tuple(idle_loop.frame())
    assert without_unread(((idle,), 5, 0, True)) == ((idle,), 0, 0, True)
    assert without_unread(((), 5, 0, True)) == ((), 0, 0, True)


def test_what_was_to_be_injected_is_decided_anew_before_the_look():
    assert without_unread(((at(assist),), 5, 0, True))[0] == (at(assist, 0),)
    assert without_unread(((at(in_guest),), 5, 0, True)) == ((at(in_guest),), 0, 0, True)


def test_within_a_call_the_result_counts():
    below = at(in_guest)
    values = ((below, tuple(vmx_do_vmentry.frame(1))), 5, 0, True)
    assert without_unread(values) == values
