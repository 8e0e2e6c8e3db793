"""What is not there to be shown is a value with its reason."""

from __future__ import annotations

from inspector.base.errors import NotReadable
from inspector.model.absence import NOT_APPLICABLE, Absence, lines, unreadable


def test_a_line_names_the_subject_once():
    assert str(unreadable("d1v2", "its list node cannot be read")) == "d1v2: its list node cannot be read"
    assert str(unreadable("unit 0", "unit 0: no queue")) == "unit 0: no queue"


def test_an_error_brings_its_address():
    found = unreadable("unit 1", NotReadable(0x1000, 16, "a hole"), "raw")
    assert (found.address, found.member, found.subject) == (0x1000, "raw", "unit 1")


def test_only_what_should_be_there_is_a_problem():
    some = (unreadable("a", "gone"), Absence(NOT_APPLICABLE, "b", "a dump has none"))
    assert lines(some) == ("a: gone",)
