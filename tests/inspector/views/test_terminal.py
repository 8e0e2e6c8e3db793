"""What is left to rich: folding, styles, and what a reader that leaves does."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.views import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_folds_and_a_pipe_does_not():
    for out, lines in ((Terminal(), 3), (io.StringIO(), 2)):
        terminal.folded(["A"], [["x" * 30]], [False], terminal.console(out))
        assert out.getvalue().count("\n") == lines


def test_a_title_stands_out_on_a_terminal_only():
    for out, styled in ((Terminal(), True), (io.StringIO(), False)):
        terminal.title("unit 0", terminal.console(out))
        assert ("\x1b[" in out.getvalue()) is styled
        assert "unit 0" in out.getvalue()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=60))
def test_a_paragraph_is_its_text(words):
    out = io.StringIO()
    terminal.paragraph(words, terminal.console(out))
    assert out.getvalue() == words + "\n"


def test_a_reader_that_leaves_is_the_callers_to_hear_of():
    with pytest.raises(BrokenPipeError):
        terminal.console(io.StringIO()).on_broken_pipe()
