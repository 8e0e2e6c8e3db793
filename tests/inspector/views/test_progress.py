"""The lines for long work."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from inspector.base import progress as base
from inspector.views import progress
from inspector.views.progress import WorkBar


def test_it_appears_after_a_second_and_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    bar = WorkBar()
    bar("reading log", 1 << 20, 100 << 20)
    bar.clear()
    assert capsys.readouterr().err == ""
    now += 1.5
    bar("reading log", 50 << 20, 100 << 20)
    told = capsys.readouterr().err
    assert "reading log" in told
    assert "50 % of 100 MiB" in told
    bar("reading log", 51 << 20, 100 << 20)
    assert capsys.readouterr().err == ""
    now += 1
    bar("reading log", 300 << 20, 100 << 20)
    assert "300 MiB" in capsys.readouterr().err
    bar.clear()
    assert capsys.readouterr().err == "\r\x1b[K"


class Screen(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_work_is_counted_for_a_person_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress.counting():
        base.tell("looking at files", 3, 10)
    assert "looking at files" in screen.getvalue()
    assert "3/10" in screen.getvalue()
    screen.truncate(0)
    base.tell("looking at files", 4, 10)
    assert screen.getvalue() == ""


def test_nobody_at_a_terminal_is_shown_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.counting():
        base.tell("looking at files", 3, 10)
    assert capsys.readouterr().err == ""


def test_a_search_tells_how_far_it_is_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    line = progress.Progress()
    line.clear()
    assert capsys.readouterr().err == ""
    line.tell(SimpleNamespace(states=12_000, depth=7, queue=1500, seconds=2.0))
    line.clear()
    told = "12,000 states, 6,000/s, depth 7, 1,500 of it to go"
    assert capsys.readouterr().err == f"\r{told}\x1b[K\r\x1b[K"
