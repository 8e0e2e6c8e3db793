"""Addresses as strings that no reader rounds, and back."""

from __future__ import annotations

import doctest
import json
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from inspector.commands import schemas
from inspector.model import hex_members
from inspector.model.hex_members import EXACT, MEMBERS, hexed, is_hexadecimal, numbers
from structs.faults import FRCD
from structs.invalidation import DESCRIPTOR
from structs.ioapic import RTE
from structs.irte import POSTED, REMAPPED
from structs.registers import REGISTERS

names = st.sampled_from(sorted(MEMBERS)) | st.sampled_from(["vector", "index", "on"])
documents = st.recursive(
    st.dictionaries(names, st.integers(0, EXACT), max_size=4),
    lambda inner: st.dictionaries(
        st.sampled_from(["units", "entries"]), inner | st.lists(inner, max_size=3), max_size=2
    ),
    max_leaves=10,
)


def test_the_examples():
    assert doctest.testmod(hex_members).failed == 0


@given(documents)
def test_there_and_back(document):
    assert numbers(json.loads(json.dumps(hexed(document)))) == document


def test_fields_that_are_wider_than_readers_keep_are_among_them():
    records = [FRCD, *DESCRIPTOR.records, *RTE.records, POSTED, REMAPPED, *(each.record for each in REGISTERS)]
    wide = {field.name for record in records for field in record.fields if field.width > 53}
    assert all(map(is_hexadecimal, wide))


@cache
def members(name: str) -> dict[str, set[str]]:
    """The types of a schema's members, by name."""
    found: dict[str, set[str]] = {}

    def walk(schema: object, key: str) -> None:
        if isinstance(schema, list):
            for part in schema:
                walk(part, key)
        if isinstance(schema, dict):
            if key and isinstance(schema.get("type"), str):
                found.setdefault(key, set()).add("hex" if "pattern" in schema else schema["type"])
            for word, part in schema.items():
                if word in ("properties", "$defs"):
                    for each, of in part.items():
                        walk(of, each if word == "properties" else "")
                elif word in ("anyOf", "items", "prefixItems"):
                    walk(part, key)

    walk(json.loads(schemas.shipped(name)), "")
    return found


def test_a_member_of_one_name_is_of_one_kind_in_every_schema():
    for name in schemas.names():
        for member, types in members(name).items():
            assert not is_hexadecimal(member) or "integer" not in types, (name, member)
            assert is_hexadecimal(member) or "hex" not in types, (name, member)
