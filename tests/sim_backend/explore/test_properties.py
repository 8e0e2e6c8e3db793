"""What is asked of the logic, and a user's own."""

from __future__ import annotations

import pytest

from sim_backend.explore.properties import PROPERTIES, WORDS, could_wake, in_guest_mode, paused, pending, read
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def test_each_says_what_it_says():
    assert len(WORDS) == len(PROPERTIES)
    assert all(WORDS.values())


def test_what_the_tests_look_at(machine):
    v = machine.vcpu("d1v0")
    assert in_guest_mode(machine, v)
    assert not pending(machine, v)
    machine.block("d1v0")
    machine.settle()
    assert could_wake(machine, v)
    machine.memory.test_and_set_bit(v + machine.o.pir, 0x31)
    assert pending(machine, v)
    machine.sleep("d1v0")
    machine.settle()
    assert paused(machine, v)
    assert not could_wake(machine, v)


def test_a_users_own(tmp_path, machine):
    path = tmp_path / "mine.py"
    path.write_text(
        "from sim_backend.explore.properties import always, eventually\n"
        "@always\ndef stays_there(m):\n    return m.memory.u32(m.vcpu('d1v0') + m.o.processor) < 9\n"
        "@eventually\ndef fails(m):\n    return 1 / 0\n"
    )
    one, other = read(path)
    assert (one.name, one.kind, other.kind) == ("stays there", "always", "eventually")
    assert all(test(machine) for test in one.tests(machine))
    with pytest.raises(SimError, match="property 'fails': ZeroDivisionError"):
        other.tests(machine)[0](machine)


@pytest.mark.parametrize("text", ["", "x = ", "raise ValueError('no')", "\x00"])
def test_a_file_without_any(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(SimError, match=str(path)):
        read(path)
