"""Going back: the machine is again as it was, byte by byte, and goes on as it did."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.base.errors import UsageError
from inspector.targets.sim.past import Kept, Past
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

ORDERS = st.sampled_from(
    (("run", 1), ("run", 37), ("post", "00:03.0", 0), ("block", "d1v0"), ("wake", "d1v0"), ("sleep", "d1v1"))
)


def simulation() -> Simulation:
    return Simulation(Machine(load("idle")))


@settings(max_examples=25, deadline=None)
@given(st.lists(ORDERS, min_size=1, max_size=8), st.data())
def test_undo_is_the_state_before(orders, data):
    target = simulation()
    before = []
    for order in orders:
        digest = target.machine.digest()
        try:
            target.drive(*order)
        except UsageError:
            # What is refused is nothing to take back.
            assert target.machine.digest() == digest
            continue
        before.append((digest, " ".join(map(str, order))))
    if before:
        count = data.draw(st.integers(1, len(before)))
        generation = target.generation
        assert target.undo(count) == [words for _, words in reversed(before[-count:])]
        assert target.machine.digest() == before[-count][0]
        assert target.generation > generation
        assert target.past.commands == len(before) - count


@settings(max_examples=25, deadline=None)
@given(st.lists(ORDERS, min_size=1, max_size=8), st.data())
def test_every_step_can_be_gone_back_to(orders, data):
    """Whichever commands made them: alone, one step at a time, the digests are those that the run had."""
    target = simulation()
    at = {0: target.machine.digest()}
    for order in orders:
        if order[0] == "run":
            for _ in range(order[1]):
                if not target.step(1):
                    break
                at[target.steps] = target.machine.digest()
            continue
        try:
            target.drive(*order)
        except UsageError:
            continue
        at[target.steps] = target.machine.digest()
    for step in data.draw(st.lists(st.sampled_from(sorted(at)), max_size=3).map(lambda all: sorted(all, reverse=True))):
        target.go_back(step)
        assert (target.steps, target.machine.digest()) == (step, at[step])


def test_going_back_is_undone_too_and_time_goes_on_from_there():
    target = simulation()
    target.drive("run", 40)
    there = target.machine.digest()
    target.go_back(10)
    target.drive("run", 5)
    assert target.steps == 15
    target.go_back(12)
    assert target.undo(3) == ["goto 12", "run 5", "goto 10"]
    assert target.machine.digest() == there


def test_what_is_too_far_back_is_said():
    target = simulation()
    with pytest.raises(UsageError, match="undo 1: only 0 can be undone"):
        target.undo(1)
    target.past = Past(most=2)
    for _ in range(3):
        target.drive("run", 10)
    with pytest.raises(UsageError, match="goto 3: the first step that can be gone back to is 10"):
        target.go_back(3)
    with pytest.raises(UsageError, match="undo 3: only 2"):
        target.undo(3)
    assert target.undo(2) == ["run 10", "run 10"]
    assert target.steps == 10


def test_the_oldest_go_and_inner_copies_are_no_commands():
    past, machine = Past(most=3), Machine(load("idle"))
    for words in ("a", "b", "", "c"):
        past.keep(Kept(machine, words))
    assert past.commands == 2
    assert [each.words for each in past.undo(2)] == ["c", "b"]
    assert past.oldest is None
    assert past.before(0) is None


def test_saving_does_not_count(tmp_path):
    target = simulation()
    target.drive("save", tmp_path / "machine")
    assert target.past.commands == 0
