"""`stop` and `cont`: of what can run, and of what cannot. On QEMU: tests/live."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from inspector.base.arguments import NoArguments
from inspector.base.errors import NotHere
from inspector.capture.inspection import Inspection
from inspector.commands import load
from inspector.commands.control import control
from inspector.targets.open_file import open_file
from inspector.targets.target import Control, Target


class Machine(Target):
    """A machine that can be stopped and let run: what it was told, in order."""

    description = "a machine"

    def __init__(self):
        self.running = True
        self.told = []

    def read(self, address, size):
        raise AssertionError("nothing is read for it")

    def stop(self):
        self.told.append("stop")
        self.running = False

    def cont(self):
        self.told.append("cont")
        self.running = True

    def close(self):
        pass


@contextmanager
def looking(machine):
    yield Inspection(machine)


@pytest.mark.parametrize(
    ("name", "running", "said"),
    [("stop", False, "a machine is stopped"), ("cont", True, "a machine runs; `stop` it to read it")],
)
def test_it_is_told_and_says_how_it_is_then(name, running, said):
    machine = Machine()
    assert isinstance(machine, Control)
    with looking(machine) as inspection:
        answer = load(name).run(inspection, NoArguments())
    assert machine.told == [name]
    assert answer.document["running"] is running
    assert [block.text for block in answer.blocks] == [said]


@pytest.mark.parametrize("name", ["stop", "cont"])
def test_both_may_be_asked_of_a_machine_that_runs(name):
    assert load(name).while_running


@pytest.mark.parametrize("name", ["stop", "cont"])
def test_a_dump_does_not_run(run, golden, name):
    told = run("dump", golden("lost-wakeup"), name)
    assert (told.status, told.out) == (3, "")
    assert "does not run by itself: only a live machine is stopped and continued" in told.err
    with open_file(golden("lost-wakeup")) as target, pytest.raises(NotHere):
        control(Inspection(target))
