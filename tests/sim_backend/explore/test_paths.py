"""Histories to states: shortest ones, that the actions really do."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sim_backend.explore.model import Action, Model
from sim_backend.explore.paths import moves_along, moves_to, paths_to
from sim_backend.explore.search import Search
from sim_backend.memory.errors import SimError


def step(name, key, most):
    def act(view):
        if view[key] >= most:
            return False
        view[key] = view[key] + 1
        return True

    return Action(name, act)


def grid(width=4, height=5):
    return Model(lambda key: 0, [step("right", "x", width), step("up", "y", height)])


def searched(model, **options):
    search = Search(model, **options)
    search.run()
    return search


def place(search, state):
    fields = search.fields
    return tuple(
        fields.values[fields.number[key]][int(fields.extract(search.states.rows[[state]], fields.number[key])[0])]
        for key in "xy"
    )


@pytest.mark.parametrize("compile_from", [None, 0])
def test_a_path_is_a_shortest_one_and_each_state_comes_after_the_last(compile_from):
    if compile_from is not None:
        pytest.importorskip("numba")
    search = searched(grid(), compile_from=compile_from)
    paths = paths_to(search, range(search.states.count))
    assert search.states.count == 5 * 6
    for state, path in paths.items():
        places = [place(search, each) for each in path]
        assert (path[0], path[-1]) == (0, state)
        assert len(path) == 1 + sum(places[-1])
        for (x, y), (to_x, to_y) in pairwise(places):
            assert (to_x - x, to_y - y) in ((1, 0), (0, 1))


def test_the_notes_lead_there(plain):
    model = grid()
    search = searched(model)
    for state in range(search.states.count):
        moves = moves_to(search, state)
        assert (moves.count(0), moves.count(1)) == place(search, state)
        x, y = place(search, state)
        assert plain(model).follow(moves) == {frozenset((k, v) for k, v in (("x", x), ("y", y)) if v)}


def test_the_first_state_is_at_the_end_of_no_move():
    search = searched(grid())
    assert paths_to(search, [0]) == {0: [0]}
    assert moves_to(search, 0) == ()
    assert paths_to(search, []) == {}


class Swap:
    """x and y change places."""

    def key(self, key):
        return {"x": "y", "y": "x"}.get(key, key)

    def value(self, key, value):
        return value


def test_with_a_symmetry_the_history_goes_through_states_that_are_alike(plain):
    model = grid(4, 4)
    model = Model(model.initial, model.actions, symmetries=(Swap(),))
    search = searched(model, symmetry=True)
    assert search.states.count == 5 * 6 // 2
    for state in range(search.states.count):
        (reached,) = plain(model).follow(moves_to(search, state))
        got, wanted = dict(reached), place(search, state)
        assert sorted((got.get("x", 0), got.get("y", 0))) == sorted(wanted)


def test_a_step_that_no_action_does_is_told():
    search = searched(grid())
    far = next(state for state in range(search.states.count) if sum(place(search, state)) > 1)
    with pytest.raises(SimError, match="symmetry of the model is none"):
        moves_along(search, [0, far])
