"""The smallest of the states that are alike: compiled, against the same by array operations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("numba")
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.alike import Memo, begin, rename, smallest
from sim_backend.explore.compiled import renamings
from sim_backend.explore.fields import Fields
from sim_backend.explore.symmetry import Symmetry

pytestmark = pytest.mark.thorough
VALUES = 5


class Turn:
    """Who has what changes; who owns something is renamed with them."""

    def __init__(self, order):
        self.order = order

    def key(self, key):
        return key if key == "owner" else (key[0], self.order[key[1]])

    def value(self, key, value):
        return self.order[value] if key == "owner" and value is not None else value


def among(people, things):
    """The renamings of so many, of whom each has so many things, all of whose values were met."""
    fields = Fields(lambda key: None if key == "owner" else 0)
    for key in [*itertools.product(range(things), range(people)), "owner"]:
        fields.add(key)
        for value in range(people) if key == "owner" else range(VALUES):
            fields.intern(fields.number[key], value)
    orders = list(itertools.permutations(range(people)))[1:]
    symmetry = Symmetry(fields, [Turn(order) for order in orders])
    assert symmetry.smallest(np.zeros((1, fields.words), np.uint64)) is not None
    return fields, symmetry


def rows(fields, chosen):
    """Rows of states, by the number of each field's value."""
    return fields.pack([dict(enumerate(numbers)) for numbers in chosen])[1]


# With 30 things of 3 bits the first 64 bits leave most of it open.
@given(st.sampled_from([(2, 3), (3, 1), (3, 30)]), st.integers(0, 2), st.data())
def test_it_is_the_one_that_arrays_find(shape, most, data):
    people, things = shape
    fields, symmetry = among(people, things)
    numbers = st.lists(st.integers(0, most), min_size=len(fields.keys), max_size=len(fields.keys))
    found = rows(fields, data.draw(st.lists(numbers, min_size=2, max_size=6)))
    wanted = symmetry.smallest(found)
    memo = Memo(renamings(symmetry))
    for before, after, best in zip(found, np.roll(found, 1, axis=0).copy(), np.roll(wanted, 1, axis=0), strict=True):
        assert begin(memo.address, before.ctypes.data)
        assert smallest(memo.address, before.ctypes.data, after.ctypes.data)
        assert after.tolist() == best.tolist()


def test_each_renaming_is_its_own():
    fields, symmetry = among(3, 2)
    (row,) = rows(fields, [[1, 2, 3, 4, 0, 1, 2]])
    memo, renamed = Memo(renamings(symmetry)), np.zeros(fields.words, np.uint64)
    for which, image in enumerate(list(symmetry.images(row[None]))[1:]):
        assert rename(memo.address, row.ctypes.data, which, renamed.ctypes.data)
        assert renamed.tolist() == image[0].tolist()


def test_a_value_that_no_renaming_knows_is_not_guessed():
    fields, symmetry = among(2, 2)
    memo = Memo(renamings(symmetry))
    assert fields.intern(0, "new") == VALUES
    known, new = rows(fields, [[0] * 5, [VALUES, *[0] * 4]])
    renamed = np.zeros(fields.words, np.uint64)
    assert begin(memo.address, known.ctypes.data)
    assert not smallest(memo.address, known.ctypes.data, new.ctypes.data)
    assert not begin(memo.address, new.ctypes.data)
    assert not rename(memo.address, new.ctypes.data, 0, renamed.ctypes.data)
    # More is known of the same renamings later; what was remembered stays.
    assert symmetry.smallest(new[None]) is not None
    memo.take(renamings(symmetry))
    assert begin(memo.address, known.ctypes.data)
    assert smallest(memo.address, known.ctypes.data, new.ctypes.data)


def test_without_renamings_there_is_nothing_to_ask():
    assert Memo(renamings(Symmetry(Fields(lambda key: 0), ()))).address == 0
