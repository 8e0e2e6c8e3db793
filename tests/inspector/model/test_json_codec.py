"""Dataclasses to JSON and back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.model.json_codec import build, dumps, loads, plain


@dataclass(frozen=True)
class Inner:
    name: str
    raw: bytes = b""


@dataclass(frozen=True)
class Outer:
    number: int
    inner: tuple[Inner, ...] = ()
    maybe: int | None = None


inners = st.builds(Inner, st.text(), st.binary())
NUMBERS = st.integers(0, (1 << 64) - 1)
outers = st.builds(Outer, NUMBERS, st.lists(inners).map(tuple), st.none() | NUMBERS)


@given(outers)
def test_there_and_back(value):
    assert build(Outer, loads(dumps(plain(value)), "x"), "x") == value


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "lacks 'number'"),
        ({"number": "1"}, "expected int, found str"),
        ({"number": True}, "expected int, found bool"),
        ({"number": "0x"}, "expected int, found str"),
        ({"number": "0x10000000000000000"}, "expected 0 to 0xffffffffffffffff, found 0x10000000000000000"),
        ({"number": 1, "more": 2}, "unknown 'more'"),
        ({"number": 1, "inner": {}}, "expected list, found dict"),
        ({"number": 1, "inner": [{"name": "x", "raw": "zz"}]}, "expected bytes in hex"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(document, says):
    with pytest.raises(TargetError, match=says):
        build(Outer, document, "x")
