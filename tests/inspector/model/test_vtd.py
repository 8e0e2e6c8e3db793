"""A VT-d unit as it was found."""

from __future__ import annotations

from inspector.model.absence import unreadable
from inspector.model.vtd import Queue, Register, VtdUnit


def test_a_register_is_a_value_and_its_fields():
    unit = VtdUnit(1, 0xFED91000, registers=(Register("GSTS", 0xC7000000),))
    assert unit.raw_register("GSTS") == 0xC7000000
    fields = unit.register("GSTS")
    assert fields is not None
    assert (fields["ires"], fields["qies"], fields["tes"]) == (1, 1, 1)


def test_a_register_that_was_not_read_is_none():
    assert VtdUnit(0, 0).register("GSTS") is None


def test_what_could_not_be_read_is_known_by_its_member():
    unit = VtdUnit(2, 0, absent=(unreadable("unit 2", "a hole", "raw"),))
    assert unit.name == "unit 2"
    assert unit.is_absent("raw")
    assert not unit.is_absent("queue")


def test_a_queue_counts_its_slots():
    assert Queue(0, bytes(4096), 16, 0, 0).count == 256


def test_where_no_registers_are_known_it_is_said():
    assert (VtdUnit(0, 0).registers_at, VtdUnit(0, 0xFED90000).registers_at) == ("unknown", "0xfed90000")
