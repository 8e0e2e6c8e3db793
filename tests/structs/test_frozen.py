"""Records are dataclasses to everybody: each test asks a record and a frozen dataclass of the same fields."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from inspect import signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structs.frozen import frozen


def declared() -> type:
    """A class with fields of all sorts."""

    class Some:
        """Four fields."""

        first: int
        second: str = "two"
        third: list[int] = field(default_factory=list, hash=False)
        fourth: int | None = field(default=None, compare=False, repr=False)

    return Some


Record: Any = frozen(declared())
Known: Any = dataclass(frozen=True)(declared())

VALUES = st.integers(0, 3)
NAMES = st.sampled_from(["first", "second", "third", "fourth", "fifth"])


def made(kind: Any, values: list[int], named: dict[str, int]) -> Any:
    """What the constructor makes, or None if it refuses."""
    try:
        return kind(*values, **named)
    except TypeError:
        return None


@given(st.lists(VALUES, max_size=6), st.dictionaries(NAMES, VALUES))
def test_the_constructor_takes_what_a_dataclass_takes(values: list[int], named: dict[str, int]) -> None:
    ours, known = made(Record, values, named), made(Known, values, named)
    assert (ours is None) == (known is None)
    if ours is not None:
        assert (asdict(ours), repr(ours), hash(ours)) == (asdict(known), repr(known), hash(known))


@given(st.tuples(VALUES, VALUES, VALUES, VALUES), st.tuples(VALUES, VALUES, VALUES, VALUES))
def test_equality(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    assert (Record(*one) == Record(*other)) == (Known(*one) == Known(*other))
    assert Record(*one) != Known(*one)


def test_the_rest_of_a_dataclass() -> None:
    record = Record(1)
    assert is_dataclass(Record)
    assert [each.name for each in fields(Record)] == ["first", "second", "third", "fourth"]
    assert replace(record, second="x") == Record(1, "x")
    assert pickle.loads(pickle.dumps(Pair(1, 2))) == copy.copy(Pair(1, 2)) == Pair(1, 2)
    assert Record(1).third is not record.third
    match record:
        case Record(first, second):
            assert (first, second) == (1, "two")


def test_its_signature_is_that_of_a_dataclass() -> None:
    ours, known = signature(Record), signature(Known)
    assert [(each.name, each.kind, each.annotation) for each in ours.parameters.values()] == [
        (each.name, each.kind, each.annotation) for each in known.parameters.values()
    ]
    assert ours.return_annotation is known.return_annotation is None


def test_a_refused_call_names_the_constructor() -> None:
    with pytest.raises(
        TypeError, match=r"Pair\(left: 'int', right: 'int' = 0\) -> None was given \(\), \{'middle': 1\}"
    ):
        Pair(middle=1)  # type: ignore[call-arg]


def test_nothing_of_it_can_be_changed() -> None:
    pair = Pair(1)
    with pytest.raises(FrozenInstanceError, match="'left'"):
        pair.left = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="'left'"):
        del pair.left  # type: ignore[misc]
    assert pair == Pair(1)


@frozen
class Pair:
    """What has a member that is computed once."""

    left: int
    right: int = 0

    @cached_property
    def total(self) -> int:
        """Both."""
        return self.left + self.right


@frozen
class Triple(Pair):
    """One more, a default of its own, and a repr of its own."""

    right: int = 5
    middle: int = 1

    def __repr__(self) -> str:
        return "<three>"


@frozen
class Nothing:
    """No fields."""


@frozen(kw_only=True)
class Named:
    """What is only given by name, and checked."""

    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(self.number)


def test_what_is_computed_of_a_record_is_no_part_of_it() -> None:
    pair = Pair(1, 2)
    assert (pair.total, pair) == (3, Pair(1, 2))


def test_a_record_of_a_record() -> None:
    assert (Triple(1).right, repr(Triple(1)), Triple(1) == Pair(1, 5)) == (5, "<three>", False)
    assert Nothing() == Nothing()
    assert (hash(Nothing()), repr(Nothing())) == (hash(()), "Nothing()")


def test_by_name_only() -> None:
    assert Named(number=1).number == 1
    with pytest.raises(TypeError):
        Named(1)  # type: ignore[misc]
    with pytest.raises(ValueError, match="-1"):
        replace(Named(number=1), number=-1)
