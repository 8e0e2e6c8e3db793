"""A layout put together from what the machine code says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from elftools.elf.elffile import ELFFile

from inspector.profiles import layouts
from inspector.profiles.dwarf import build_id_of
from inspector.profiles.image import Image
from inspector.profiles.layouts import Candidate
from inspector.xen import layout_code, layout_derive
from structs.xen.layout import Place, StructLayout

BASE = 0xFFFF82D040000000


@pytest.fixture(scope="module", params=["4.17", "4.20"])
def build(request, debian_xen):
    """A shipped image as it lies in memory, and its build-id."""
    path = debian_xen(request.param).symbols
    with path.open("rb") as file:
        segment = next(part for part in ELFFile(file).iter_segments() if part["p_type"] == "PT_LOAD")
        return Image(BASE, ((segment["p_vaddr"], segment.data()),)), build_id_of(path)


@pytest.mark.live
@pytest.mark.parametrize("struct", ["domain", "vcpu"])
def test_a_layout_that_no_known_build_has_is_put_together_from_the_code(build, struct):
    """Of the other builds' layouts each member that the code tells is moved: then none of them is right."""
    image, build_id = build
    known = layouts.bundled()[struct]
    own = next(one.layout for one in known if build_id in {build.build_id for build in one.builds})
    beside = [moved(one) for one in known if one.layout != own][:3]
    derived = layout_derive.derive(image, struct, beside)
    assert derived is not None
    told = derived.layout.members.keys() & layout_code.ACCESSES[struct].keys() & own.members.keys()
    assert len(told) >= 5
    assert {path: derived.layout.members[path] for path in told} == {path: own.members[path] for path in told}
    assert layout_derive.derive(image, struct, [Candidate(own, ()), *beside]) is None, "a known one is that"
    assert layout_derive.derive(None, struct, beside) is None


def moved(candidate: Candidate) -> Candidate:
    """The same with every member 16 bytes further on."""
    members = {path: replace(place, offset=place.offset + 16) for path, place in candidate.layout.members.items()}
    return replace(candidate, layout=replace(candidate.layout, members=members))


TOLD = {"a": 0x10, "b": 0x20, "c": 0x30, "d": 0x1000}


@pytest.fixture
def code(monkeypatch):
    """Call it with where functions reach members: in place of what machine code would say."""

    def says(**reached):
        monkeypatch.setitem(layout_code.ACCESSES, "s", dict.fromkeys(reached, ()))
        monkeypatch.setattr(layout_derive, "reached_at", lambda image, struct, path, size: reached[path])
        return Image(BASE, ())

    return says


def known(shift=0, **members):
    """A layout of another build, with these members besides a, b, c and d, `shift` bytes further on."""
    places = {path: Place(offset + shift, 8) for path, offset in (TOLD | members).items()}
    return Candidate(StructLayout("s", 8192, places), ())


def at(offset, count=1):
    return [offset + 64 * number for number in range(count)]


def derived(image, *beside):
    found = layout_derive.derive(image, "s", beside)
    return found and {path: place.offset for path, place in found.layout.members.items()}


def test_members_that_no_code_tells_keep_their_distance_from_the_nearest_that_is_told(code):
    image = code(a=[0x18], b=[0x28], c=[0x38], d=[0x1040])
    others = known(0, near=0x34, far=0xFF0), known(0, near=0x34, far=0xFF0)
    assert derived(image, *others) == {
        "a": 0x18,
        "b": 0x28,
        "c": 0x38,
        "d": 0x1040,
        "near": 0x3C,
        "far": 0x1030,
    }


def test_one_whose_distance_differs_between_builds_has_the_next_anchor_or_is_left_out(code):
    image = code(a=[0x18], b=[0x28], c=[0x38], d=[0x1040])
    moved_against_c = known(0, x=0x38), known(0, x=0x38, c=0x28)
    assert derived(image, *moved_against_c)["x"] == 0x40, "by b: its distance is the same"
    everywhere = known(0, x=0x400), known(8, x=0x410)
    assert "x" not in derived(image, *everywhere)
    some = known(0, x=0x400), known(0)
    assert "x" not in derived(image, *some), "not all builds around have it"


def test_too_little_code_or_a_known_layout_is_no_new_one(code):
    image = code(a=[0x18], b=[0x28], c=at(0x38, 2), d=[])
    assert derived(image, known()) is None, "two members are told; one of c's places could be either"
    image = code(a=[0x10], b=[0x20], c=[0x30], d=[0x1000])
    assert derived(image, known()) is None, "this is the known one"
    assert derived(image, known(8)) == TOLD
    assert derived(image) is None
    assert layout_derive.derive(None, "s", [known(8)]) is None
    assert layout_derive.derive(image, "nobody knows", [known(8)]) is None


def test_what_a_build_may_lack_and_what_shares_a_byte_is_not_told(code):
    """As run states' sequence number, which in a build without one was found where the state is."""
    image = code(a=[0x18], b=[0x28], c=[0x38], d=[0x1040], runstate_seq=[0x4C])
    assert "runstate_seq" not in derived(image, known(runstate_seq=0x44))
    image = code(a=[0x18], b=[0x28], c=[0x38], d=[0x1040], x=[0x1044])
    assert derived(image, known(x=0x1010)).keys() == {"a", "b", "c"} | {"d", "x"}, "by their distance from c"
    assert derived(image, known(x=0x1010))["d"] == 0x1008


@pytest.mark.parametrize(("away", "told"), [(128, True), (129, False), (-128, True), (-129, False)])
def test_a_member_is_looked_for_near_where_it_was(code, away, told):
    image = code(a=[0x818], b=[0x828], c=[0x838 + away], d=[0x850])
    beside = [known(0x800 + 8, d=0x40)]
    found = layout_derive.derive(image, "s", beside)
    assert found is not None
    assert (found.layout.members["c"].offset == 0x838 + away) is told
    assert found.layout.size == 8192


def test_bits_of_a_member_are_kept(code):
    image = code(a=[0x18], b=[0x28], c=[0x38])
    beside = known()
    members = {**beside.layout.members, "flag": Place(0x14, 1, 3, 1)}
    found = layout_derive.derive(image, "s", [replace(beside, layout=replace(beside.layout, members=members))])
    assert found.layout.members["flag"] == Place(0x1C, 1, 3, 1)
