"""What a terminal is taken for, and what is coloured there."""

from __future__ import annotations

import io

import pytest

from inspector.views.terminal import NOWHERE, RED, YELLOW, Screen, screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def test_a_pipe_has_no_width_and_no_colour():
    assert screen(io.StringIO()) == NOWHERE


def test_a_terminal_has_both(monkeypatch):
    assert screen(Terminal()) == Screen(20, styled=True, coloured=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert screen(Terminal()) == Screen(20, styled=True)


def test_colour_can_be_forced_on_a_pipe(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert screen(io.StringIO()) == Screen(None, styled=True, coloured=True)


def test_severities_are_words_in_colours():
    shown = Screen(coloured=True).severities("D5 bug D7 warning")
    assert f"{RED}bug" in shown
    assert f"{YELLOW}warning" in shown
    assert NOWHERE.severities("D5 bug") == "D5 bug"


def test_a_title_stands_out_on_a_terminal_only():
    assert "\x1b[" in Screen(styled=True).title("unit 0")
    assert NOWHERE.title("unit 0") == "unit 0"
