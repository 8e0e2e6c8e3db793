"""`vtdpi learn`, its lines from a pipe; from a terminal: tests/inspector/repl/test_prompt.py."""

from __future__ import annotations

import io

import pytest

from inspector.frontends.cli import main

LINES = "vcpus\nirt --posted\npost 00:03.0 0 --later\nstep 2\npi d1v0\nstep 20\n"


@pytest.fixture
def learn(tmp_path, monkeypatch, capsys):
    """Call it with words and the lines that are typed: what is printed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(*words, typed="quit\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert main(["learn", *words]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


def test_a_lesson_is_finished_and_the_first_that_is_not_comes_next(learn):
    printed = learn("1", typed=LINES + "next\nagain\nquit\n")
    assert "Done. A device's message reached a running guest" in printed
    assert printed.count("Lesson 2: ") == 2
    assert [("done" in line) for line in learn("--list").splitlines()] == [True] + [False] * 9
    assert learn().startswith("Lesson 2: ")


def test_the_last_lesson_has_no_next(learn):
    assert learn("10", typed="next\n").count("Lesson") == 1


@pytest.mark.parametrize("number", ["0", "11"])
def test_a_lesson_that_there_is_not(number, capsys):
    assert main(["learn", number]) == 2
    assert f"there is no lesson {number}: there are 1 to 10" in capsys.readouterr().err


def test_what_cannot_be_kept_is_told_and_the_lesson_goes_on(learn, tmp_path, monkeypatch, capsys):
    (tmp_path / "vtdpi").write_text("a file in the directory's place")
    monkeypatch.setattr("sys.stdin", io.StringIO(LINES))
    assert main(["learn", "1"]) == 0
    printed = capsys.readouterr()
    assert "Done." in printed.out
    assert "note: it is not kept that you have finished it" in printed.err
