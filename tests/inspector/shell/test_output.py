"""Answers go whole to where they are to go, or not at all."""

from __future__ import annotations

import pytest

from inspector.base.errors import UsageError
from inspector.shell.line import parse
from inspector.shell.output import to


def test_to_standard_output(capsys):
    with to(parse("irt")) as out:
        out.write("text\n")
    assert capsys.readouterr().out == "text\n"


@pytest.mark.parametrize("at_once", [False, True])
def test_to_a_shell_command(capfd, at_once):
    with to(parse("irt | tr a-z A-Z"), at_once=at_once) as out:
        out.write("text\n")
    assert capfd.readouterr().out == "TEXT\n"


@pytest.mark.parametrize("at_once", [False, True])
def test_a_shell_command_that_has_seen_enough(capfd, at_once):
    with to(parse("irt | head -c 3"), at_once=at_once) as out:
        for _ in range(20_000):
            out.write("many words\n")
    assert capfd.readouterr().out == "man"


def test_a_shell_command_of_which_there_is_none_says_so_itself(capfd):
    with to(parse("irt | /nowhere/at/all")) as out:
        out.write("text\n")
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "not found" in printed.err


def test_to_a_file_and_after_what_is_in_it(tmp_path):
    file = tmp_path / "a file"
    for text in ("one\n", "two\n"):
        with to(parse(f"irt > '{file}'")) as out:
            out.write(text)
    assert file.read_text() == "two\n"
    with to(parse(f"irt >> '{file}'")) as out:
        out.write("three\n")
    assert file.read_text() == "two\nthree\n"


def test_an_answer_that_fails_leaves_the_file_as_it_was(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    answer = to(parse(f"irt > {file}"))
    answer.__enter__().write("half of it")
    error = KeyError("the target was lost")
    assert not answer.__exit__(KeyError, error, None)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_never_over_what_is_being_read(tmp_path):
    dump = tmp_path / "dump"
    dump.write_text("evidence")
    with pytest.raises(UsageError), to(parse(f"irt > {dump}"), keep=[str(dump)]) as out:
        out.write("text")
    assert dump.read_text() == "evidence"


def test_a_pager_is_only_for_a_terminal(capsys):
    with to(parse("irt"), pager="false") as out:
        out.write("line\n" * 500)
    assert capsys.readouterr().out == "line\n" * 500
