"""Which prompt it is."""

from __future__ import annotations

import io
import sys

import pytest

from inspector.base.errors import TargetError
from inspector.repl import plain, prompt, start
from inspector.shell import config
from inspector.shell.guide import NOBODY
from inspector.shell.opening import Opening
from inspector.shell.session import Session


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """Call it with what stdin and stdout are, and the terminal's kind, for which prompt was started."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    started = []

    class Full:
        def __init__(self, session, guide):
            started.append(("prompt", session, guide))

        def run(self):
            return 7

    def lines(session, guide):
        started.append(("plain", session, guide))
        return 8

    monkeypatch.setattr(prompt, "Prompt", Full)
    monkeypatch.setattr(plain, "run", lines)

    def begin(stdin, stdout, term):
        monkeypatch.setattr(sys, "stdin", stdin())
        monkeypatch.setattr(sys, "stdout", stdout())
        monkeypatch.delenv("TERM", raising=False)
        if term is not None:
            monkeypatch.setenv("TERM", term)
        session = Session(Opening(lambda: pytest.fail("opened")))
        status = start.start(session)
        assert started == [(started[0][0], session, NOBODY)]
        assert session.settings == config.load()
        kind = started[0][0]
        return kind, status

    return begin


def test_a_terminal_that_can(chosen):
    assert chosen(Terminal, Terminal, "xterm-256color") == ("prompt", 7)


@pytest.mark.parametrize(
    ("stdin", "stdout", "term"),
    [
        (io.StringIO, Terminal, "xterm"),
        (Terminal, io.StringIO, "xterm"),
        (Terminal, Terminal, "dumb"),
        (Terminal, Terminal, None),
    ],
)
def test_all_else_gets_plain_lines(chosen, stdin, stdout, term):
    assert chosen(stdin, stdout, term) == ("plain", 8)


def test_a_configuration_that_makes_no_sense_is_told_first(chosen, tmp_path):
    (tmp_path / "vtdpi").mkdir()
    (tmp_path / "vtdpi/config.toml").write_text("nonsense = [")
    with pytest.raises(TargetError, match=r"config\.toml"):
        chosen(Terminal, Terminal, "xterm")
