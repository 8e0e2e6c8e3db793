"""Places in a document, and what is said of those that are not there."""

from __future__ import annotations

import doctest
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import UsageError
from inspector.commands import json_path
from inspector.commands.json_path import PathError, at

DOCUMENT = {
    "units": [{"index": 0, "entries": [{"index": 24, "kind": "posted", "urg": False}, {"index": 25, "kind": "x"}]}],
    "none": None,
    "n": 3,
}


def test_its_examples() -> None:
    assert doctest.testmod(json_path).failed == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".", DOCUMENT),
        (".n", 3),
        (".none", None),
        (".units[#]", 1),
        (".units[0].entries[-1].index", 25),
        (".units[0].entries[index=0x18].kind", "posted"),
        (".units[0].entries[kind=posted,index=24].index", 24),
        (".units[0].entries[urg=false].index", 24),
    ],
)
def test_what_is_there(path: str, value: object) -> None:
    assert at(DOCUMENT, path) == value


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (".m", "no key 'm' in .; there are units, none, n"),
        (".n.m", "no key 'm': .n is a number"),
        (".none.m", "no key 'm': .none is null"),
        (".n[0]", "no [0]: .n is a number, no list"),
        (".units[1]", "no element 1 in .units, which has 1"),
        (".units[-2]", "no element -2 in .units, which has 1"),
        (".units[index=7]", "0 elements with index=7 among the 1 of .units, not one"),
        (".units[0].entries[index=word]", "0 elements"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(path: str, says: str) -> None:
    with pytest.raises(PathError, match="^" + says.replace("[", r"\[").replace("]", r"\]")):
        at(DOCUMENT, path)


def test_several_that_fit_are_not_one() -> None:
    with pytest.raises(PathError, match="2 elements with a=1 among the 3"):
        at({"l": [{"a": 1}, {"a": 1}, {"a": 2}]}, ".l[a=1]")


@pytest.mark.parametrize("path", ["", "n", "..", ".units[", ".units[0", ".units[]", ".units[x]", ".a b", "[0]x"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(UsageError, match="is no path"):
        at(DOCUMENT, path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"\A[a-z]{1,3}\Z"), inner, max_size=3),
    max_leaves=12,
)


def places(value: object, path: str = "") -> list[tuple[str, object]]:
    found = [(path or ".", value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, f"{path}.{key}")
    if isinstance(value, list):
        found.append((f"{path}[#]", len(value)))
        for number, inner in enumerate(value):
            found += places(inner, f"{path}[{number}]")
    return found


@pytest.mark.thorough
@given(values)
def test_every_place_of_a_document_can_be_named(document: object) -> None:
    document = json.loads(json.dumps(document))
    for path, value in places(document):
        assert at(document, path) == value


@given(values, st.text(max_size=12))
def test_any_text_is_a_value_or_one_of_our_errors(document: object, path: str) -> None:
    with suppress(UsageError, PathError):
        at(document, path)
