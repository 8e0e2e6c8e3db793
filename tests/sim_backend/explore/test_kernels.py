"""The compiled kernels against the same in Python: walks down the trees, steps back, renamings."""

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
