"""Trees packed for the compiled walk: as packed anew, however they came to be."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.fields import Fields
from sim_backend.explore.model import Action
from sim_backend.explore.transitions import Transitions

WIDEST = 40
steps = st.one_of(
    st.tuples(st.just("learn"), st.integers(0, 1), st.integers(0, WIDEST), st.integers(0, 3)),
    st.tuples(st.just("vary"), st.integers(0, 1), st.just(0), st.just(0)),
    st.tuples(st.just("pack"), st.just(0), st.just(0), st.just(0)),
)


def copy(view):
    view["b"] = view["a"] % 4
    return view["a"] != 3


def choose(view):
    if view["b"] == 2:
        view["b"] = view["c"] + view.choose(2)
    return bool(view["d"]) or view["a"] < 9


def leaves_of(trees, row):
    """Where each tree leads, walked in the packed arrays by Python."""
    found = []
    for node in trees.roots.tolist():
        while node < 1 << 63:
            word, left, right, children = node & 0xFF, node >> 8 & 0xFF, node >> 16 & 0xFF, node >> 32
            node = int(trees.child[children + ((int(row[word]) << left & (1 << 64) - 1) >> right)])
        found.append(node)
    return found


@given(st.lists(steps, max_size=30))
def test_what_is_added_and_dropped_later_is_as_packed_at_once(kernels, done):
    from sim_backend.explore.packed_trees import PackedTrees

    fields = Fields(lambda key: 0)
    actions = [Action("copy", copy), Action("choose", choose)]
    learnt = Transitions(fields, lambda number, view: (actions[number].act(view), number), len(actions))
    for key in "ab":
        for value in range(WIDEST + 1):
            fields.intern(fields.add(key), value)
    kept = PackedTrees(learnt, actions)
    for what, which, a, b in done:
        if what == "learn":
            row = row_of(fields, {"a": a, "b": b})
            while learnt.leaves(np.array([which]), row[None]) is None:
                row = row_of(fields, {"a": a, "b": b})
                learnt.pack()
        elif what == "vary":
            fields.add("cd"[which])
            learnt.mend()
            learnt.pack()
        else:
            kept.now()
    learnt.pack()
    after, anew = kept.now(), PackedTrees(learnt, actions).now()
    for ours, theirs in zip(after, anew, strict=True):
        assert np.array_equal(ours, theirs)
    learnt.freeze = True
    for a, b in ((0, 0), (3, 2), (9, 2), (WIDEST, 1)):
        row = row_of(fields, {"a": a, "b": b})
        known = learnt.leaves(np.arange(2), row[None])[:, 0] > 0
        assert [node != int(kernels.UNKNOWN) for node in leaves_of(after, row)] == known.tolist()


def row_of(fields, values):
    changes = {fields.number[key]: fields.intern(fields.number[key], value) for key, value in values.items()}
    return fields.pack([changes])[1][0]
