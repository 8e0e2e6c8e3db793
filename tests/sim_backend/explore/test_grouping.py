"""Fields that have few values together go into one word."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.fields import Fields
from sim_backend.explore.grouping import WIDEST, grouped


def fields_with(columns):
    """Fields of which each has a column's values, and the rows."""
    fields = Fields(lambda key: 0)
    changes = [{} for _ in columns[0]]
    for key, column in enumerate(columns):
        field = fields.add(key)
        for row, value in zip(changes, column, strict=True):
            row[field] = fields.intern(field, int(value))
    return fields, fields.pack(changes)[1]


def test_fields_that_change_together_are_together():
    chance = np.random.default_rng(0)
    one, other = chance.integers(0, 200, (2, 4000))
    columns = [one, other, one[::-1], 199 - one, other * 3 % 200, 199 - other, one[::-1] + 1]
    groups = {frozenset(group) for group in grouped(*fields_with(columns))}
    assert groups == {frozenset({0, 3}), frozenset({1, 4, 5}), frozenset({2, 6})}


@given(st.integers(0, 30), st.integers(1, 300))
def test_each_field_is_in_one_group_and_the_groups_fit_into_words(count, most):
    chance = np.random.default_rng(count)
    fields, rows = fields_with([chance.integers(0, most, 50) for _ in range(count)] or [[0]])
    before = fields.placement()
    groups = grouped(fields, rows)
    assert sorted(field for group in groups for field in group) == list(range(len(fields.keys)))
    fields.arrange(groups)
    assert fields.arranged
    assert fields.words == len(groups)
    assert all(sum(int(fields.mask[field]).bit_length() for field in group) <= WIDEST for group in groups)
    moved = fields.moved(rows, before)
    after = fields.placement()
    assert np.array_equal(Fields.moved(_at(fields, before), moved, after), rows)


def _at(fields, placement):
    """The same fields where they were."""
    other = Fields(lambda key: 0)
    other.word, other.shift, other.mask, other.words = placement
    return other
