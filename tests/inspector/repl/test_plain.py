"""Lines from a pipe: run one after the other, the status that of the first that failed."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from inspector.base.errors import TargetError
from inspector.repl import plain
from inspector.shell import config
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


class Typed(io.StringIO):
    """Lines that come from a terminal that can do no more than print."""

    def isatty(self):
        return True


@pytest.fixture
def lines(monkeypatch, capsys, tmp_path):
    """Call it with lines for the exit status, and what was printed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def run(*given, kind=io.StringIO, aliases=(), open_target=None):
        monkeypatch.setattr(sys, "stdin", kind("".join(given)))
        opening = open_target or (lambda: Simulation(Machine(load("idle"), seed=1)))
        with Session(Opening(opening, name="sim\x1b[31m")) as session:
            session.settings = replace(config.load(), aliases=dict(aliases))
            status = plain.run(session)
        return status, *capsys.readouterr()

    return run


def test_each_line_is_run(lines):
    status, out, err = lines("info\n", "\n", "# a note\n", "vcpus --json")
    assert (status, err) == (0, "")
    assert "Xen" in out
    assert '"schema": "vtdpi/vcpus/' in out


def test_one_that_fails_does_not_stop_it_and_its_status_is_kept(lines):
    status, out, err = lines("auditt\n", "pi d9v9\n", "vcpus\n")
    assert status == 2
    assert err.splitlines()[0].startswith("vtdpi: ")
    assert "did you mean audit?" in err
    assert "d1v0" in out


def test_the_first_that_failed_counts_also_if_it_answered(lines):
    assert lines("expect vcpus .vcpus[0].domain == 77\n", "auditt\n")[0] == 1
    assert lines("auditt\n", "expect vcpus .vcpus[0].domain == 77\n")[0] == 2


@pytest.mark.parametrize("word", ["quit", "exit"])
def test_leaving_ends_it_with_the_status_so_far(lines, word):
    assert lines(f"{word}\n", "auditt\n") == (0, "", "")
    assert lines("auditt\n", f"{word}\n", "info\n")[:2] == (2, "")


def test_aliases(lines):
    status, out, _ = lines("v --json\n", aliases={"v": "vcpus"})
    assert status == 0
    assert "vtdpi/vcpus/" in out


def test_somebody_types(lines):
    status, out, err = lines("auditt\n", "info\n", kind=Typed)
    assert status == 0, "who types sees what failed"
    assert out.startswith("sim\\x1b[31m> sim\\x1b[31m> "), "a prompt, and nothing in its name acts on the terminal"
    assert "did you mean audit?" in err


def test_a_target_that_cannot_be_opened_ends_it(lines):
    def fails():
        raise TargetError("no machine")

    with pytest.raises(TargetError, match="no machine"):
        lines("info\n", open_target=fails)


class Interrupted:
    """A line, a Ctrl-C, and another line."""

    def __init__(self, _):
        self.lines = iter(["info\n", KeyboardInterrupt, "vcpus\n", ""])

    def isatty(self):
        return self.typed

    def readline(self):
        line = next(self.lines)
        if line is KeyboardInterrupt:
            raise KeyboardInterrupt
        return line


def test_ctrl_c_ends_a_pipe_and_not_who_types(lines):
    status, out, err = lines(kind=type("Typing", (Interrupted,), {"typed": True}))
    assert (status, err) == (0, "\nvtdpi: interrupted\n")
    assert "d1v0" in out
    with pytest.raises(KeyboardInterrupt):
        lines(kind=type("Piping", (Interrupted,), {"typed": False}))


def test_who_looks_on_is_asked_before_each_line_and_told_after_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.StringIO("mine\nnonsense\nstep\n"))
    told = []

    class Guide:
        def takes(self, text):
            return text == "mine\n"

        def after(self, text):
            told.append(text)

    with Session(Opening(lambda: Simulation(Machine(load("idle"), seed=1)))) as session:
        assert plain.run(session, Guide()) == 2
    assert told == ["nonsense\n", "step\n"]


def test_history_has_what_came_through_the_pipe(lines):
    status, out, _ = lines("run 5\n", "\n", "nonsense\n", "history\n")
    assert status == 2
    assert out.endswith("1  run 5\n2  nonsense\n3  history\n")
