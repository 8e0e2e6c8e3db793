"""The types of documents: made of the records, so that no field that a record has can be missing."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from inspector.commands import documents
from inspector.commands.documents import fields
from structs.bits import BitRecord, field
from structs.irte import POSTED, REMAPPED
from structs.registers import REGISTERS

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


@pytest.mark.parametrize("name", ["Absent", "Source", "Descriptor", "VcpuState", "Audit", "Info"])
def test_what_is_written_out_is_documented(name):
    made = getattr(documents, name)
    assert made.__doc__
    assert get_type_hints(made)


def test_an_absence_is_of_a_kind_that_the_model_has():
    from inspector.model import absence

    kinds = get_args(get_type_hints(documents.Absent)["kind"])
    assert set(kinds) == {absence.UNREADABLE, absence.NOT_APPLICABLE, absence.NOT_PRINTED}
