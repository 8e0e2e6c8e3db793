"""One document and nothing else."""

from __future__ import annotations

import io
import json

from inspector.model.absence import UNREADABLE, Absence
from inspector.model.answer import Answer, Text
from inspector.views.json import show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(answer: Answer, out: io.StringIO) -> str:
    show(answer, out)
    return out.getvalue()


ANSWER = Answer({"schema": "vtdpi/irt/1", "text": 'a\n"b"\u202e'}, [Text("for people")])


def test_on_one_line_for_programs() -> None:
    text = shown(ANSWER, io.StringIO())
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert json.loads(text) == ANSWER.document
    assert text.isascii()


def test_indented_for_people() -> None:
    text = shown(ANSWER, Terminal())
    assert text.count("\n") > 2
    assert json.loads(text) == ANSWER.document


def test_what_is_absent_is_in_it_and_the_document_stays_as_it_was() -> None:
    answer = Answer({"schema": "x"}, [], absent=(Absence(UNREADABLE, "unit 0", "a hole", address=0x1000),))
    document = json.loads(shown(answer, io.StringIO()))
    assert document["absent"][0]["why"] == "a hole"
    assert document["absent"][0]["address"] == 0x1000
    assert answer.document == {"schema": "x"}
