"""Units of the documents' numbers, as the schemas tell them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from inspector.commands import schemas
from inspector.model.member_units import UNITS, unit_of


def members(name: str) -> Iterator[tuple[str, str, Any]]:
    """Type, name and schema of each member of a document; the type of the document itself is empty."""
    whole = json.loads(schemas.shipped(name))
    for kind, schema in (("", whole), *whole["$defs"].items()):
        for member, part in schema.get("properties", {}).items():
            yield kind, member, part


def is_number(part: Any) -> bool:
    """Whether it is a number, a hexadecimal one, or a list of them."""
    if "anyOf" in part:
        return any(map(is_number, part["anyOf"]))
    if part.get("type") == "array":
        return is_number(part["items"])
    return part.get("type") in ("integer", "number") or "pattern" in part


def test_each_number_of_that_name_has_its_unit_in_every_schema() -> None:
    seen = set()
    for name in schemas.names():
        for kind, member, part in members(name):
            unit = part.get("x-unit")
            assert unit is None or is_number(part), (name, kind, member)
            if kind and is_number(part):
                assert unit == unit_of(kind, member), (name, kind, member)
            if unit:
                seen |= {member, f"{kind}.{member}"}
    assert {word for word in UNITS if "." not in word} <= seen


def test_one_name_may_be_counted_otherwise_in_one_type() -> None:
    assert unit_of("Table", "size") == "entries"
    assert unit_of("SurveyRow", "size") == "bytes"
    assert unit_of("Xen", "version") is None
