"""The types of the documents: closed, and those that the commands say they answer."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import get_type_hints

import pytest

from inspector.commands import BUILT_IN, HOMES, schemas
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.lab import Lab
from inspector.model import documents
from inspector.model.documents import DOCUMENTS, fields
from structs.bits import BitRecord, field
from structs.irte import POSTED, REMAPPED
from structs.registers import REGISTERS

from ..conftest import check_schema


def test_labs_of_both_kinds_are_as_their_schema_says(tmp_path):
    places = [tmp_path / name for name in ("qmp", "control", "serial", "console", "xen.gz")]
    qemu = Lab("x", 1, "127.0.0.1:1", *places, symbols=None, dom0=False)
    bochs = HvmLab("y", 2, *places[3:], tmp_path / "xen-syms", "storm", True, {"command": 0x1000})
    check_schema({"schema": "vtdpi/lab/3", **qemu.record()})
    check_schema({"schema": "vtdpi/lab-list/3", "labs": [qemu.record(), bochs.record()]})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_open_but_what_any_json_may_be(name):
    """An object names its members, or the type of all of them."""

    def open_places(part, path):
        if isinstance(part, dict):
            if part == {} or (
                part.get("type") == "object" and not {"properties", "additionalProperties"} & part.keys()
            ):
                yield path
            for key, inner in part.items():
                yield from open_places(inner, (*path, key))

    found = set(open_places(schemas.made(name), ()))
    assert found == ({("properties", "found"), ("properties", "expected")} if name == "expect" else set())


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_command_says_the_type_of_its_document(name):
    """mypy holds what it builds against that type; the schema is made of the same."""
    module = import_module(f"inspector.commands.{HOMES.get(name, name)}")
    source = inspect.getsource(module)
    (said,) = re.findall(rf"^def {name}_?\([^)]*\) -> .*?documents\.(\w+)\]", source, re.MULTILINE)
    assert DOCUMENTS[name] is getattr(documents, said)


ONE = BitRecord("one", 4, field("a", 0), field("b", (3, 1)), source="none")
TWO = BitRecord("two", 4, field("b", 0), field("c", (31, 1)), source="none")


def test_each_field_of_the_records_may_be_left_out_and_what_is_beside_them_not():
    made = fields("Made", (ONE, TWO), kind=str)
    assert made.__name__ == "Made"
    assert made.__required_keys__ == {"kind"}
    assert made.__optional_keys__ == {"a", "b", "c", "rsvd_31_4"}
    assert get_type_hints(made) == {"a": int, "b": int, "c": int, "rsvd_31_4": int, "kind": str}


def test_what_is_said_beside_a_record_wins():
    assert get_type_hints(fields("Made", (ONE,), a=str))["a"] is str


def test_an_entry_has_the_fields_of_both_formats():
    names = {each.name for record in (REMAPPED, POSTED) for each in record.fields}
    assert documents.Entry.__optional_keys__ >= names
    assert documents.Entry.__required_keys__ == {"index", "format"}


def test_every_register_is_there_with_its_value():
    assert documents.Registers.__optional_keys__ == {register.name.lower() for register in REGISTERS}
    for register in REGISTERS:
        of = get_type_hints(documents.Registers)[register.name.lower()]
        assert of.__required_keys__ == {"value"}
        assert of.__optional_keys__ == {each.name for each in register.record.fields} - {"value"}
