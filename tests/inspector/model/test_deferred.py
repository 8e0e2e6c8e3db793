"""Records whose members are read when first asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from inspector.model.deferred import Deferred, defer, deferrable
from inspector.model.snapshot import Cpu, Snapshot


@deferrable
@dataclass(frozen=True)
class Place(Deferred):
    name: str
    size: int = 0
    raw: bytes = b""


@pytest.fixture
def reads():
    return []


@pytest.fixture
def place(reads):
    def part():
        reads.append("size and raw")
        return {"size": 2, "raw": b"ab", "name": "read"}

    return defer(Place, {"name": "known"}, [(("size", "raw"), part)])


@pytest.fixture
def snapshot_of_cpus():
    known = {"target": "x", "cpus": (Cpu(0, 0), Cpu(1, 1))}
    return defer(Snapshot, known, [(("vcpus",), dict)])


def test_nothing_is_read_until_it_is_asked_for_and_then_once(place, reads):
    assert place.name == "known"
    assert not place.has_read("size")
    assert reads == []
    assert (place.size, place.raw, place.name) == (2, b"ab", "read")
    assert reads == ["size and raw"]


def test_complete_reads_all_of_it(place, reads):
    assert place.complete() is place
    assert place.has_read("raw")
    assert place.complete().size == 2
    assert reads == ["size and raw"]


def test_it_is_equal_to_one_that_was_made_at_once(place):
    assert place.complete() == Place("read", 2, b"ab")
    assert replace(place, size=3) == Place("read", 3, b"ab")


def test_one_with_other_values_reads_nothing(place, reads):
    """A trace has the machine run: what nobody asked for before cannot be read then."""
    other = place.but(name="other")
    assert (other.name, place.name, reads) == ("other", "known", [])
    assert (other.size, reads) == (2, ["size and raw"])
    assert place.but(size=7).size == 7
    assert Place("x").but(size=3) == Place("x", 3)


def test_one_with_other_values_works_out_anew_what_rests_on_them(snapshot_of_cpus):
    snapshot = snapshot_of_cpus
    assert set(snapshot.by_cpu) == {0, 1}
    assert set(snapshot.but(cpus=snapshot.cpus[:1]).by_cpu) == {0}
    assert set(snapshot.by_cpu) == {0, 1}


def test_a_constructor_keeps_its_defaults():
    assert Place("x") == Place("x", 0, b"")
    assert Place("x").complete().size == 0


def test_a_member_that_there_is_not_is_an_error(place):
    with pytest.raises(AttributeError, match="Place has no 'sise'"):
        place.sise  # noqa: B018


def test_what_no_part_reads_has_its_default():
    """So a member that a class gains later is there in all that were made without it."""
    made = defer(Place, {"name": "x"}, [])
    assert made == Place("x")
    assert replace(made, name="y") == Place("y")


def test_afresh_tells_only_what_is_asked_for_from_then_on_and_reads_nothing_twice(reads):
    def part(name):
        def read():
            reads.append(name)
            return {name: 1, "absent": (name,)}

        return (name,), read

    @deferrable
    @dataclass(frozen=True)
    class Two(Deferred):
        one: int = 0
        other: int = 0
        absent: tuple[str, ...] = ()

    whole = defer(Two, {"absent": ()}, [part("one"), part("other")])
    assert (whole.one, whole.other, whole.absent) == (1, 1, ("one", "other"))
    again = whole.afresh()
    assert (again.other, again.absent) == (1, ("other",))
    assert again.complete().absent == ("other", "one")
    assert reads == ["one", "other"]
    assert Two(2).afresh() == Two(2)
