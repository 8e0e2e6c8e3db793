"""What a terminal is taken for, and what is coloured there."""

from __future__ import annotations

import io

import pytest

from inspector.views.links import Links
from inspector.views.terminal import NOWHERE, RED, YELLOW, Screen, Wanted, screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name in ("FORCE_COLOR", "FORCE_HYPERLINK", "VTE_VERSION", "TERM_PROGRAM", "TMUX", "STY", "WT_SESSION"):
        monkeypatch.delenv(name, raising=False)


def test_a_pipe_has_no_width_and_no_colour():
    assert screen(io.StringIO()) == NOWHERE


def test_a_terminal_has_both(monkeypatch):
    assert screen(Terminal()) == Screen(20, styled=True, coloured=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert screen(Terminal()) == Screen(20, styled=True)


def test_colour_can_be_forced_on_a_pipe(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert screen(io.StringIO()) == Screen(None, styled=True, coloured=True)


def test_colour_and_width_are_what_the_user_wants(monkeypatch):
    assert screen(Terminal(), Wanted(width=70)).width == 70
    assert screen(Terminal(), Wanted(width=0)).width is None
    assert screen(io.StringIO(), Wanted(width=70)) == NOWHERE, "a pipe gets everything"
    assert screen(Terminal(), Wanted(color="never")) == Screen(20)
    assert screen(io.StringIO(), Wanted(color="always")) == Screen(None, styled=True, coloured=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert screen(Terminal(), Wanted(color="always")) == Screen(20, styled=True, coloured=True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert screen(io.StringIO(), Wanted(color="never")) == NOWHERE


def test_links_are_where_they_are_wanted_and_never_in_a_pager(monkeypatch):
    assert screen(Terminal()).links is None
    monkeypatch.setenv("TERM", "xterm-kitty")
    assert screen(Terminal()).links is not None
    assert screen(Terminal(), Wanted(links="never")).links is None
    assert screen(io.StringIO()).links is None
    assert screen(io.StringIO(), Wanted(links="always")).links is not None
    paged = Terminal()
    paged.sideways = False
    assert screen(paged).links is None
    monkeypatch.setenv("FORCE_HYPERLINK", "0")
    assert screen(Terminal()).links is None


def test_names_and_a_file_are_links():
    shown = Screen(links=Links("https://example.org")).with_file("now.json").told("D5: saved to now.json", True)
    assert "https://example.org/glossary.html#d5" in shown
    assert "now.json\x1b\\now.json" in shown
    assert Screen().with_file("now.json").told("D5: now.json", True) == "D5: now.json"


def test_severities_are_words_in_colours():
    shown = Screen(coloured=True).severities("D5 bug D7 warning")
    assert f"{RED}bug" in shown
    assert f"{YELLOW}warning" in shown
    assert NOWHERE.severities("D5 bug") == "D5 bug"


def test_a_title_stands_out_on_a_terminal_only():
    assert "\x1b[" in Screen(styled=True).title("unit 0")
    assert NOWHERE.title("unit 0") == "unit 0"
