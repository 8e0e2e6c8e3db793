"""States as rows of words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.fields import Fields


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=200))
def test_a_row_holds_what_was_stored_however_fields_move(stores):
    fields, state = Fields(lambda key: 0), {}
    row = np.zeros((1, fields.words), np.uint64)
    for key, value in stores:
        before, layout = fields.placement(), fields.layout
        field = fields.add(key)
        number = fields.intern(field, value)
        if fields.layout != layout:
            row = fields.moved(row, before)
        clear, bits = fields.pack([{field: number}])
        row = row & ~clear | bits
        state[key] = value
        for known, held in state.items():
            there = fields.number[known]
            assert fields.values[there][int(fields.extract(row, there)[0])] == held


def test_a_key_that_was_taken_for_constant_is_noted_when_it_gets_a_field():
    fields = Fields(lambda key: 0)
    fields.constants.add("a")
    fields.add("b")
    assert not fields.varying
    fields.add("a")
    assert fields.varying == {"a"}
