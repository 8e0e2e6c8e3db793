"""Who decides where several things can happen."""

from __future__ import annotations

from sim_backend.logic.chance import Drawn
from sim_backend.logic.state import State


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
