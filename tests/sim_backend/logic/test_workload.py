"""How often things happen of themselves."""

from __future__ import annotations

import pytest

from sim_backend.logic.state import State
from sim_backend.logic.workload import OUT_OF, Drawn, Workload
from sim_backend.memory.errors import SimError


def test_busy_is_whoever_has_a_rate():
    assert not Workload().busy
    assert all(Workload(**{name: 1}).busy for name in Workload().rates())


def test_of_the_outside_is_what_no_guest_and_no_device_does():
    load = Workload(halt=5, post=3, timer=10, event=20)
    assert (load.outside, load.outside_total) == ((("timer", 10), ("event", 20)), 30)


@pytest.mark.parametrize(
    "rates",
    [{"halt": -1}, {"post": OUT_OF + 1}, {"halt": 1000, "ipi": 25}, {"timer": 1000, "event": 25}],
)
def test_what_cannot_be(rates):
    with pytest.raises(SimError, match="workload"):
        Workload(**rates)


def drawn(seed):
    state = State.switched_on(2, 1, False)
    state.random = seed
    return Drawn(state)


def test_the_same_seed_decides_the_same():
    one, other = drawn(5), drawn(5)
    assert [one.below(7) for _ in range(50)] == [other.below(7) for _ in range(50)]
    assert one.state.random == other.state.random


def test_rates():
    chance = drawn(1)
    assert sum(chance.happens(256) for _ in range(8000)) in range(1800, 2200)
    before = chance.state.random
    assert not chance.happens(0)
    assert chance.state.random == before, "what never happens draws nothing"


def test_choices_come_first_and_then_zeros():
    chance = drawn(1)
    before = chance.state.random
    chance.choices = [5, 9]
    assert [chance.below(7) for _ in range(4)] == [5, 2, 0, 0]
    assert chance.state.random == before
