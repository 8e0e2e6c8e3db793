"""Tables for other programs."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import UsageError
from inspector.model.answer import Answer, Table, Text
from inspector.views import formats

# What cannot be printed is shown as an escape; of spaces that is all but one.
cells = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), max_size=8)


def shown(answer: Answer, form: str) -> str:
    out = io.StringIO()
    formats.show(answer, out, form)
    return out.getvalue()


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_csv_is_read_back_as_it_was(rows):
    answer = Answer({}, [Table(("A", "B"), rows)])
    assert list(csv.reader(io.StringIO(shown(answer, "csv")))) == [["A", "B"], *map(list, rows)]
    assert [json.loads(line) for line in shown(answer, "jsonl").splitlines()] == [{"a": a, "b": b} for a, b in rows]


def test_a_bar_in_a_cell_does_not_end_it():
    table = Table(("A", "N"), [("x|y", "1")], "Title", frozenset({"N"}))
    assert shown(Answer({}, [table]), "markdown") == "Title\n\n| A | N |\n| --- | --: |\n| x\\|y | 1 |\n"


def test_records_are_as_the_document_has_them():
    table = Table(("A",), [("0x40",)], records=[{"address": 0x40, "on": 1}])
    assert json.loads(shown(Answer({}, [table]), "jsonl")) == {"address": "0x40", "on": 1}


@pytest.mark.parametrize("form", ["csv", "jsonl", "markdown"])
def test_what_has_no_table(form):
    with pytest.raises(UsageError):
        shown(Answer({}, [Text("x")]), form)
