"""The compiled kernels against the same in Python: sets by number, walks down the trees, steps back."""

from __future__ import annotations

import numpy as np
import pytest

from sim_backend.explore.model import Action, Model, Property
from sim_backend.explore.search import Search


def searched(kernels, model, **options):
    """A search that was compiled from its first states, and a plain one."""
    compiled, plain = Search(model, compile_from=0, **options), Search(model, compile_from=None, **options)
    return (compiled, compiled.run()), (plain, plain.run())


def step(name, key, most):
    def act(view):
        if view[key] >= most:
            return False
        view[key] = view[key] + 1
        return True

    return Action(name, act)


def cube(most=5, keys="xyz"):
    actions = [step(key, key, most) for key in keys]
    corner = Property("corner", lambda view: sum(view[key] for key in keys) < len(keys) * most)
    return Model(lambda key: 0, actions, [corner])


def sets_with(rows):
    from sim_backend.explore.compressed import compressed

    return compressed(rows, np.zeros(len(rows), np.int32))


def test_values_that_meet_in_a_slot_have_numbers_of_their_own(kernels):
    """More values than there are slots for without any meeting, then all found again."""
    chance = np.random.default_rng(1)
    first = np.zeros((1, 3), np.uint64)
    rows = np.unique(chance.integers(0, 1 << 63, (3000, 3), np.uint64), axis=0)
    states = sets_with(first)
    states.add(np.concatenate((rows, rows[::-1])))
    numbers = states.find(rows)
    assert np.array_equal(numbers, np.arange(1, len(rows) + 1))
    assert states.find(rows ^ np.uint64(1)).tolist() == [-1] * len(rows)
    found = np.empty((len(rows), 3), np.uint64)
    kernels.rows(states.sets, numbers, found)
    assert np.array_equal(found, rows)


@pytest.mark.parametrize("bits", [12, 32])
def test_what_a_slot_has_of_a_hash_decides_nothing(kernels, bits):
    """With much of each value's hash beside its number, and with nothing of it, the same numbers."""
    states = sets_with(np.zeros((1, 2), np.uint64))
    for which in range(len(states.sets.about)):
        states._slots[which] = states._give_slots(which, 3000)
        states.sets.about[which, kernels.NUMBERS] = (1 << bits) - 1
        kernels.refill(states.sets.about, which, 1)
    chance = np.random.default_rng(2)
    rows = np.unique(chance.integers(1, 1 << 63, (2000, 2), np.uint64), axis=0)
    assert kernels.add(states.sets, np.concatenate((rows, rows)), 0) == 2 * len(rows)
    assert np.array_equal(states.find(rows), np.arange(1, len(rows) + 1))
    assert (states.find(rows ^ np.uint64(1)) == -1).all()


def test_add_stops_before_a_set_is_full(kernels):
    """Nothing that was added before it stopped is lost, and it goes on from there."""
    states = sets_with(np.zeros((1, 2), np.uint64))
    limit = int(states.sets.about[:, kernels.LIMIT].min())
    rows = np.arange(2, 2 * limit, dtype=np.uint64)[:, None] * np.array([1, 1], np.uint64)
    done = kernels.add(states.sets, rows, 0)
    assert 0 < done < len(rows)
    assert kernels.add(states.sets, rows, done) == done
    states.make_room(0)
    assert kernels.add(states.sets, rows, done) > done
    assert np.array_equal(states.find(rows[:done]), np.arange(1, done + 1))


def test_the_whole_space_and_its_edges(kernels):
    (compiled, fast), (_, slow) = searched(kernels, cube())
    assert compiled.compiled is not None
    assert (fast.states, fast.transitions, fast.depth) == (slow.states, slow.transitions, slow.depth) == (216, 540, 15)
    assert [v.verdict for v in fast.verdicts] == [v.verdict for v in slow.verdicts]
    assert len(fast.verdicts[0].moves) == len(slow.verdicts[0].moves) == 15


@pytest.mark.parametrize("most", [3, 5])
def test_predecessors_are_states_that_lead_there(kernels, most):
    (search, _), _ = searched(kernels, cube(most))
    for layer in range(1, len(search.layers) - 1):
        start, end = search.layers[layer - 1 : layer + 1]
        last = search.layers[layer + 1]
        if last == end:
            break
        before = search.predecessors(start, end, np.arange(end, last))
        assert sorted(before) == list(range(end, last))
        for state, parent in before.items():
            assert start <= parent < end
            reached = [tuple(rows[0].tolist()) for _, _, rows in search.progress(search.states.rows[[parent]])]
            assert tuple(search.states.rows[[state]][0].tolist()) in reached


class Turn:
    """Keys change places."""

    def __init__(self, turn):
        self.turn = turn

    def key(self, key):
        return self.turn[key]

    def value(self, key, value):
        return value


def test_of_states_that_are_alike_one_is_kept(kernels):
    model = cube(4)
    turns = [dict(zip("xyz", order, strict=True)) for order in ("xzy", "yxz", "yzx", "zxy", "zyx")]
    alike = Model(model.initial, model.actions, model.properties, [Turn(turn) for turn in turns])
    (_, fast), (_, slow) = searched(kernels, alike)
    # Multisets of three numbers from 0 to 4.
    assert fast.states == slow.states == 35
    assert fast.transitions == slow.transitions
