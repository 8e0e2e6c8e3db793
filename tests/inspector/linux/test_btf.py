"""A kernel's own types."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.linux.btf import ARRAY, HEADER, START, STRUCT, TYPEDEF, VAR, Btf, BtfError, size_at
from tests.inspector.linux.made_linux import LAYOUTS, PER_CPU, btf

RAW = btf(LAYOUTS)


def made(types: bytes, strings: bytes = b"\0") -> bytes:
    return START + struct.pack("<IIII", 0, len(types), len(types), len(strings)) + types + strings


def a_type(name: int, kind: int, size: int, count: int = 0) -> bytes:
    return struct.pack("<III", name, kind << 24 | count, size)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_member_is_where_it_is(name):
    types = Btf(RAW)
    found = types.named(name)
    assert found
    assert (found.kind, found.size) == (STRUCT, LAYOUTS[name][0])
    places = {each.name: (each.bit, each.width) if each.width else (each.bit // 8,) for each in types.members(found)}
    assert places == {
        member: place for member, (_, *place) in ((m, v) for m, v in LAYOUTS[name][1].items())
    } or places == {member: tuple(value[1:]) for member, value in LAYOUTS[name][1].items()}


def test_arrays_variables_and_what_is_not_there():
    types = Btf(RAW)
    slots = next(each for each in types.members(types.named("xa_node")) if each.name == "slots")
    assert types.plain(slots.type).kind == ARRAY
    assert types.array(types.plain(slots.type))[1] == 64
    variable = types.named("posted_msi_pi_desc", (VAR,))
    assert types.array(types.plain(variable.size))[1] == PER_CPU["posted_msi_pi_desc"]
    assert types.named("posted_msi_pi_desc") is None
    assert types.named("no such") is None
    with pytest.raises(BtfError, match="has no type"):
        types.type(types.end)
    with pytest.raises(BtfError, match="no string at"):
        types.string(len(RAW))


def test_a_modules_types_go_on_where_vmlinuxs_end():
    base = Btf(RAW)
    strings = b"\0vcpu_vmx\0own\0"
    at = base.end_of_strings
    desc = base.named("irq_desc").number
    own = a_type(at + 1, STRUCT, 640, 1) + struct.pack("<III", at + 10, desc, 128)
    module = Btf(made(own + a_type(at + 10, TYPEDEF, base.end), strings), base)
    found = module.named("vcpu_vmx")
    (member,) = module.members(found)
    assert (found.number, member.name, member.bit, module.plain(member.type).name) == (base.end, "own", 128, "irq_desc")
    assert module.plain(base.end + 1) == found
    assert module.named("irq_desc") == base.named("irq_desc")
    inner = {each.name for each in module.members(module.plain(member.type))}
    assert inner == set(LAYOUTS["irq_desc"][1])


def test_a_name_that_only_leads_to_itself_is_none():
    with pytest.raises(BtfError, match="only names of itself"):
        Btf(made(a_type(0, TYPEDEF, 1))).plain(1)


def test_types_after_an_unknown_kind_are_not_told():
    raw = made(a_type(0, STRUCT, 8) + a_type(0, 31, 8) + a_type(0, STRUCT, 8))
    types = Btf(raw)
    assert (types.end, types.cut) == (2, "type 2 is of an unknown kind, 31")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "found nothing"),
        (b"\x9f\xeb\x02" + bytes(40), "expected 9feb0100"),
        (START + struct.pack("<IIII", 0, 1 << 30, 0, 0), "its header tells of"),
        (START + struct.pack("<IIII", 0, 0, 0, 0), "tells of no type"),
    ],
)
def test_what_is_none_or_damaged_is_told(raw, why):
    with pytest.raises(BtfError, match=why):
        Btf(raw)


def test_a_type_that_is_not_whole_is_not_told():
    types = Btf(made(a_type(0, STRUCT, 8) + a_type(0, STRUCT, 8, 5)))
    assert (types.end, types.cut) == (2, "type 2 is not whole")


@given(st.lists(st.tuples(st.integers(0, len(RAW) - 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=150)
def test_damage_ends_in_an_error_or_in_types_and_never_hangs(changes):
    raw = bytearray(RAW)
    for at, value in changes:
        raw[at] = value
    with suppress(BtfError):
        types = Btf(bytes(raw))
        for name in ("irq_desc", "xa_node", "msi_attrib"):
            if found := types.named(name):
                for member in types.members(found):
                    types.plain(member.type)


def test_its_size_is_told_by_its_header():
    assert size_at(RAW[:HEADER]) == len(RAW)
    assert size_at(RAW[: HEADER - 1]) is None
    assert size_at(bytes(HEADER)) is None
    assert size_at(START + struct.pack("<IIII", 0, 1 << 30, 0, 1 << 30)) is None
