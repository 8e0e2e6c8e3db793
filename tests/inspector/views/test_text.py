"""Tables as text: as rich would draw them, but in a moment; what others wrote cannot command the terminal."""

from __future__ import annotations

import io
import os
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text as RichText

from inspector.model.answer import Answer, Facts, Table, Text
from inspector.views import text as view
from inspector.views.terminal import PLAIN, RED, YELLOW

cells = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=12) | st.sampled_from(["", "-", "世界", "a b"])
tables = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        st.lists(cells.filter(bool), min_size=n, max_size=n, unique=True),
        st.lists(st.lists(cells, min_size=n, max_size=n), max_size=6),
        st.sets(st.integers(0, n - 1)),
    )
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(answer: Answer, out: io.StringIO) -> str:
    view.show(answer, out)
    return out.getvalue()


def drawn(heads, rows, right) -> str:
    """As rich draws it."""
    table = RichTable(box=None, pad_edge=False, show_header=heads is not None)
    for number, to_right in enumerate(right):
        table.add_column(heads[number] if heads else "", justify="right" if to_right else "left")
    for row in rows:
        table.add_row(*map(RichText, row))
    out = io.StringIO()
    Console(file=out, width=10_000).print(table)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().split("\n")[:-1])


@given(tables)
def test_a_plain_table_is_what_rich_would_print(table):
    heads, rows, right = table
    block = Table(heads, rows, numeric=frozenset(heads[n] for n in right))
    assert shown(Answer({}, [block]), io.StringIO()) == drawn(heads, rows, [n in right for n in range(len(heads))])


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6))
def test_facts_are_what_rich_would_print(rows):
    assert shown(Answer({}, [Facts(rows)]), io.StringIO()) == drawn(None, [list(row) for row in rows], [False, False])


def test_a_cell_of_two_lines():
    block = Table(["A", "B"], [["one\ntwo", "three"]])
    assert shown(Answer({}, [block]), io.StringIO()) == "A    B\none  three\ntwo\n"


def test_a_narrow_terminal_has_records_of_whole_words(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    block = Table(["A", "B"], [["x" * 30, "y"], ["z", "one two three four five"]])
    assert re.sub(r"\x1b\[\d*m", "", shown(Answer({}, [block]), Terminal())).split("\n") == [
        *("A  " + "x" * 30, "B  y", "", "A  z", "B  one two three", "   four five", ""),
    ]


def test_severities_are_coloured_where_they_stand(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [("bug", "a bug in words"), ("warning", "")]
    answer = Answer({}, [Table(("SEVERITY", "WHAT"), rows), Facts([("D5 bug", "x")]), Text("D5 warning: y")])
    lines = shown(answer, Terminal()).splitlines()
    assert lines[1] == f"{RED}bug{PLAIN}       a bug in words"
    assert lines[4] == f"D5 {RED}bug{PLAIN}  x"
    assert lines[6] == f"D5 {YELLOW}warning{PLAIN}: y"


def test_heads_and_names_are_bold_on_a_terminal_and_not_without_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    answer = Answer({}, [Table(["A"], [["x"]]), Facts([("name", "value")])])
    assert shown(answer, Terminal()) == "\x1b[1mA\x1b[0m\nx\n\n\x1b[1mname\x1b[0m  value\n"
    assert "\x1b" not in shown(answer, io.StringIO())


@given(st.text(st.characters(codec=None, categories=None)))
def test_nothing_that_others_wrote_commands_the_terminal(words):
    answer = Answer({}, [Table([words], [[words]], title=words), Facts([(words, words)], words), Text(words)])
    printed = shown(answer, io.StringIO())
    assert all(c.isprintable() or c in "\n\t" for c in printed)
    printed.encode("utf-8")


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["table", "text"])
def test_a_reader_that_leaves_is_the_callers_to_hear_of(kind):
    reader, writer = os.pipe()
    os.close(reader)
    block = Text("x" * 100_000) if kind == "text" else Table(["A"], [["x"]] * 100_000)
    out = open(writer, "w")  # noqa: SIM115 - to close it is to write to it again

    def show() -> None:
        view.show(Answer({}, [block]), out)
        out.flush()

    with pytest.raises(BrokenPipeError):
        show()
    with suppress(BrokenPipeError):
        out.close()
