"""What values mean: copies are of their own, frozen ones come back, renaming is one to one."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.logic.kinds import (
    CPU_ID,
    CPU_MASK,
    ENTRY_INDEX,
    FIXED,
    FLAG,
    MESSAGE_ADDRESS,
    MESSAGE_DATA,
    NUMBER,
    PLACE,
    STORE,
    TEXT,
    VECTOR_OF_FIRST,
    Ascending,
    Bindings,
    ByCpu,
    ListOf,
    PirWord,
    Places,
    Saturating,
    Table,
    copied,
    held,
    restore,
    saved,
)

numbers = st.integers(0, 1 << 70)
small = st.integers(0, 3)
pair = st.tuples(numbers, numbers)
KINDS = {
    "number": (NUMBER, numbers),
    "flag": (FLAG, st.booleans()),
    "text": (TEXT, st.none() | st.text(max_size=5)),
    "list": (ListOf(NUMBER), st.lists(numbers, max_size=4)),
    "lists": (ByCpu(ListOf(PLACE)), st.lists(st.lists(numbers, max_size=3), min_size=2, max_size=2)),
    "table": (Table(PLACE, CPU_ID), st.dictionaries(numbers, small, max_size=4)),
    "orders": (
        Table(PLACE, ListOf(Places(NUMBER, PLACE, NUMBER))),
        st.dictionaries(numbers, st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=2), max_size=3),
    ),
    "bindings": (
        Table(NUMBER, Bindings()),
        st.dictionaries(numbers, st.tuples(pair) | st.tuples(pair, pair), max_size=3),
    ),
    "iec": (Table(ENTRY_INDEX, NUMBER), st.dictionaries(pair, numbers, max_size=3)),
    "stores": (ByCpu(ListOf(STORE)), st.lists(st.lists(st.tuples(numbers, small, numbers), max_size=2), max_size=2)),
}


def copy_of(kind, value):
    return value if kind.immutable else kind.copier()(value)


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_a_value_comes_back_from_everywhere(name, data):
    kind, values = KINDS[name]
    value = data.draw(values)
    assert copy_of(kind, value) == value
    assert kind.thaw(kind.freeze(value)) == value
    assert kind.parse(json.loads(json.dumps(kind.plain(value)))) == value
    assert hash(kind.freeze(value)) == hash(kind.freeze(copy_of(kind, value)))


@pytest.mark.parametrize("name", ["list", "lists", "table", "orders", "stores"])
@given(data=st.data())
def test_a_copy_is_of_its_own(name, data):
    kind, values = KINDS[name]
    value = data.draw(values)
    before = kind.freeze(value)
    other = copy_of(kind, value)
    for each in [other, *(other.values() if isinstance(other, dict) else other)]:
        if isinstance(each, list):
            each.append(each)
        elif isinstance(each, dict):
            each[-1] = []
    assert kind.freeze(value) == before


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("wrong", [object, "x", 1.5, [[["x"]]], {"a": 1}])
def test_what_is_none_is_refused(name, wrong):
    kind, _ = KINDS[name]
    if (name, wrong) != ("text", "x"):
        with pytest.raises(ValueError, match=r".") as error:
            kind.parse(wrong)
        assert "\n" not in str(error.value)


class Swap:
    """CPUs 0 and 1, and the places 0x1000 and 0x2000 trade places; vector 5 of 0x1000 is vector 6 of 0x2000."""

    def place(self, address):
        return {0x1000: 0x2000, 0x2000: 0x1000}.get(address, address)

    def cpu(self, number):
        return {0: 1, 1: 0}.get(number, number)

    def cpus(self, mask):
        return mask & ~3 | (mask & 1) << 1 | mask >> 1 & 1

    def vector(self, v, vector):
        return {(0x1000, 5): 6, (0x2000, 6): 5}.get((v, vector), vector)

    def vectors(self, v, first, bits):
        return bits

    def message(self, address, data):
        return {(1, 2): (3, 4), (3, 4): (1, 2)}.get((address, data), (address, data))

    def index(self, unit, index):
        return unit, index


def test_renaming():
    swap = Swap()
    assert ByCpu(ListOf(PLACE)).renamed(((0x1000,), (7,)), swap) == ((7,), (0x2000,))
    assert Table(PLACE, CPU_ID).renamed(((0x1000, 0), (0x2000, 5)), swap) == ((0x1000, 5), (0x2000, 1))
    assert Ascending(CPU_ID).renamed((0, 2), swap) == (1, 2)
    assert CPU_MASK.renamed(0b101, swap) == 0b110
    assert CPU_ID.renamed(-1, swap) == -1, "not set yet"
    assert Places(NUMBER, PLACE).renamed((0x1000, 0x1000), swap) == (0x1000, 0x2000)
    assert Bindings().renamed(((0x1000, 5),), swap) == ((0x2000, 6),)


def test_renaming_in_a_frame():
    swap, frame = Swap(), [9, 0, 0x1000, 5, 1, 2]
    assert VECTOR_OF_FIRST.rename_in(frame, 3, swap) == 6
    assert (MESSAGE_ADDRESS.rename_in(frame, 4, swap), MESSAGE_DATA.rename_in(frame, 5, swap)) == (3, 4)
    assert PirWord(1).rename_in(frame, 3, swap) == 5


def test_what_must_not_be_renamed_says_so():
    assert FIXED.renamed(0, Swap()) == 0
    with pytest.raises(AssertionError, match="not to be renamed"):
        FIXED.renamed(0x1000, Swap())


def test_a_search_only_tells_whether_a_count_is_zero():
    assert [Saturating().freeze(count) for count in (0, 1, 7)] == [0, 1, 1]


@dataclass(slots=True, eq=False)
class Small:
    count: int = held(NUMBER)
    follows: int = held(NUMBER, saved=False)


def test_saved_and_restored():
    one = Small(3, 4)
    assert saved(one) == {"count": 3}
    other = copied(one)
    restore(other, {"count": 9})
    assert (other.count, other.follows, one.count) == (9, 4, 3)
    for document in ({}, {"count": 1, "more": 2}, {"count": "x"}):
        with pytest.raises(ValueError, match=r"count|more"):
            restore(other, document)
