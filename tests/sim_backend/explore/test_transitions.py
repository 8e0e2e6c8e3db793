"""Actions learnt: run once for each combination of what they read, and right for all rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.fields import Fields
from sim_backend.explore.transitions import FIRST, Growing, Transitions

FIRST_ACTION = np.array([0])


def learning(*actions):
    """Transitions of plain functions, over keys that begin with 0."""
    fields = Fields(lambda key: 0)
    return fields, Transitions(fields, lambda number, view: (actions[number](view), number), len(actions))


def rows_of(fields, *states):
    """Rows of these states, each a dict."""
    for state in states:
        for key, value in state.items():
            fields.intern(fields.add(key), value)
    changes = [
        {fields.number[key]: fields.intern(fields.number[key], v) for key, v in state.items()} for state in states
    ]
    return fields.pack(changes)[1]


def values(fields, row):
    return {key: fields.values[n][int(fields.extract(row, n))] for n, key in enumerate(fields.keys)}


def after(learnt, action, rows):
    """By row the states after it; rows that no longer fit are not met here."""
    found = learnt.leaves(np.array([action]), rows)
    assert found is not None
    (leaves,) = found
    made = []
    for row, leaf in zip(rows, leaves.tolist(), strict=True):
        start, count = int(learnt.leaf_start.array[leaf]), int(learnt.leaf_count.array[leaf])
        made.append(
            [values(learnt.fields, learnt.apply(row[None], np.array([n]))[0]) for n in range(start, start + count)]
        )
    return made


def test_an_action_is_run_once_for_each_combination_that_it_reads():
    def count(view):
        if view["a"] == 2:
            return False
        view["a"] = view["a"] + 1
        return True

    fields, learnt = learning(count)
    rows = rows_of(fields, *({"a": a, "b": b} for a in range(4) for b in range(8)))
    fields.intern(fields.number["a"], 4)
    learnt.pack()
    found = after(learnt, 0, rows)
    assert learnt.runs == 4
    assert found[0] == [{"a": 1, "b": 0}]
    assert found[7] == [{"a": 1, "b": 7}]
    assert found[2 * 8 : 3 * 8] == [[]] * 8
    assert after(learnt, 0, rows) == found
    assert learnt.runs == 4


def test_every_choice_is_an_outcome_with_what_was_drawn():
    def draw(view):
        first = view.choose(2)
        view["a"] = (first, view.choose(3) if first else 0)
        return True

    fields, learnt = learning(draw)
    rows = rows_of(fields, {"a": 0})
    while (leaves := learnt.leaves(FIRST_ACTION, rows)) is None:
        rows = np.zeros((1, fields.words), np.uint64)
        learnt.pack()
    assert learnt.leaf_count.array[leaves[0, 0]] == 4
    assert {outcome.drawn for outcome in learnt.outcomes} == {(0,), (1, 0), (1, 1), (1, 2)}


def test_frozen_it_learns_nothing_and_says_what_it_does_not_know():
    def copy(view):
        view["b"] = view["a"]
        return True

    fields, learnt = learning(copy)
    rows = rows_of(fields, {"a": 0, "b": 0}, {"a": 1, "b": 0}, {"a": 0, "b": 1})
    learnt.pack()
    learnt.freeze = True
    assert learnt.leaves(FIRST_ACTION, rows).tolist() == [[0, 0, 0]]
    learnt.freeze = False
    assert learnt.leaves(FIRST_ACTION, rows[:1]).all()
    learnt.freeze = True
    (known,) = learnt.leaves(FIRST_ACTION, rows)
    assert known[0] == known[2] != 0
    assert known[1] == 0
    assert learnt.runs == 1


def test_what_reads_nothing_is_one_leaf():
    fields, learnt = learning(lambda view: False)
    rows = rows_of(fields, {"a": 0}, {"a": 5})
    learnt.pack()
    (leaves,) = learnt.leaves(FIRST_ACTION, rows)
    assert len(set(leaves.tolist())) == 1
    assert learnt.leaf_count.array[leaves[0]] == 0


def test_what_took_for_constant_what_is_not_is_dropped_and_nothing_else():
    def look(view):
        return view["a"] == 1

    def change(view):
        view["a"] = 1
        return True

    def neither(view):
        view["b"] = 1 - view["b"]
        return True

    def some(view):
        return view["b"] and view["a"]

    fields, learnt = learning(look, neither, some, change)
    rows = rows_of(fields, {"b": 0}, {"b": 1})
    learnt.pack()
    before = learnt.leaves(np.arange(3), rows)
    assert not learnt.stale
    assert learnt.leaves(np.array([3]), rows) is None
    assert learnt.stale
    learnt.mend()
    assert not learnt.stale
    assert fields.constants == set()
    learnt.pack()
    rows = rows_of(fields, {"b": 0}, {"b": 1}, {"a": 1, "b": 1})
    learnt.freeze = True
    kept = learnt.leaves(np.arange(4), rows)
    assert (kept[1, :2] == before[1]).all()
    assert kept[0].tolist() == [0, 0, 0]
    assert kept[2].tolist() == [before[2, 0], 0, 0]
    learnt.freeze = False
    runs = learnt.runs
    assert [after(learnt, 0, rows), after(learnt, 2, rows)] == [[[], [], [{"a": 1, "b": 1}]]] * 2
    assert learnt.runs == runs + 4


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=40))
def test_rows_are_led_to_what_the_function_does(states):
    def act(view):
        if view["c"] == 3:
            return False
        view["a"] = view["b"] if view["c"] else (view["a"] + 1) % 10
        return True

    def wanted(a, b, c):
        return [] if c == 3 else [{"a": b if c else (a + 1) % 10, "b": b, "c": c}]

    fields, learnt = learning(act)
    rows_of(fields, *({"a": n, "b": n, "c": n % 4} for n in range(10)))
    rows = rows_of(fields, *({"a": a, "b": b, "c": c} for a, b, c in states))
    learnt.pack()
    assert after(learnt, 0, rows) == [wanted(*state) for state in states]


def test_a_growing_array_keeps_what_is_in_it():
    growing = Growing(2, dtype=np.int64)
    for number in range(FIRST + 10):
        assert growing.append((number, -number)) == number
    assert growing.extend(3 * FIRST) == FIRST + 10
    assert growing.array[: FIRST + 10].tolist() == [[n, -n] for n in range(FIRST + 10)]
    assert not growing.array[FIRST + 10 :].any()
