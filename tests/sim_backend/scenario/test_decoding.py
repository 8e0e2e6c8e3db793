"""What a file says, held against types: each thing that does not fit is one line, which says where it stands."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from sim_backend.memory.errors import SimError
from sim_backend.scenario.decoding import SHOWN, decoded, table


class Engine(Struct):
    power: Annotated[int, Meta(ge=0, le=9)]
    names: tuple[Annotated[str, Meta(max_length=3)], ...] = ()
    loud: bool | None = None


KEYS = Engine.__struct_fields__


def test_what_fits():
    assert table({"power": 9, "names": ["a"]}, Engine, KEYS) == Engine(9, ("a",))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "engine.power is missing"),
        ([], "engine = []: expected a table"),
        ({"power": "x"}, "engine.power = 'x': expected a whole number"),
        ({"power": True}, "engine.power = True: expected a whole number"),
        ({"power": 10}, "engine.power = 10: expected a whole number <= 9"),
        ({"power": 1 << 80}, "engine.power = a number of 81 bits: expected a whole number <= 9"),
        ({"power": 1, "names": ["a", 5]}, "engine.names[1] = 5: expected a text"),
        ({"power": 1, "names": [1 << 20_000]}, "engine.names[0] = a number of 20001 bits: expected a text"),
        ({"power": 1, "names": {"a": 1 << 20_000}}, "engine.names = a dict: expected a list"),
        ({"power": 1, "names": ["abcd"]}, "engine.names[0] = 'abcd': expected a text of length <= 3"),
        ({"power": 1, "loud": 1}, "engine.loud = 1: expected true or false"),
        ({"power": "\ud800"}, "engine '\\ud800': expected Unicode"),
        ({"power": 1, "b": 1, "a\n": 1}, "engine.'a\\n': no such key; there are power, names, loud"),
    ],
)
def test_what_does_not(value, message):
    with pytest.raises(SimError) as error:
        table(value, Engine, KEYS, "engine.")
    assert str(error.value) == message


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@given(value=ANY | st.fixed_dictionaries({"power": ANY, "names": ANY}))
def test_any_value_is_taken_or_told_in_one_line(value: Any):
    said = ""
    try:
        assert 0 <= table(value, Engine, KEYS, "engine.").power <= 9
    except SimError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 2 * SHOWN + 100


def test_a_value_by_itself():
    assert decoded("x", str) == "x"
    with pytest.raises(SimError, match=r"^expected a text$"):
        decoded(5, str)
