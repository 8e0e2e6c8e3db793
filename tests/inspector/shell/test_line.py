"""Lines as typed: any words, quoted, come out as they went in; pipes, files and comments are told apart."""

from __future__ import annotations

import doctest
import re
import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import UsageError
from inspector.commands import json_path as document
from inspector.shell import line
from inspector.shell.line import deliver, parse

words = st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8), min_size=1)


@given(words)
def test_quoted_words_survive(typed):
    assert line.parse(shlex.join(typed)) == line.Line(tuple(typed))


@given(words, words)
def test_a_pipe_gets_the_rest_as_written(ours, shell):
    rest = shlex.join(shell).strip()
    assert line.parse(f"{shlex.join(ours)} | {rest}") == line.Line(tuple(ours), pipe=rest)


@given(st.text())
def test_any_text_is_a_line_or_a_usage_error(text):
    parts = line.split(text)
    assert text.startswith("".join(parts))
    with suppress(UsageError):
        assert all(isinstance(word, str) for word in line.parse(text).words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", line.Line(())),
        ("  # only this", line.Line(())),
        ("irt#1 # and this", line.Line(("irt#1",))),
        ("irt '| x' # y | z", line.Line(("irt", "| x"))),
        ("irt|grep '>'>out", line.Line(("irt",), pipe="grep '>'>out")),
        ("irt >> 'a b' # c", line.Line(("irt",), file="a b", append=True)),
        (r"irt a\ b\|c", line.Line(("irt", "a b|c"))),
    ],
)
def test_what_belongs_where(text, expected):
    assert line.parse(text) == expected


@pytest.mark.parametrize("text", ["irt |", "irt >", "irt > a b", "| less", "> file", "irt 'x", 'irt "x | y'])
def test_half_lines_are_said(text):
    with pytest.raises(UsageError):
        line.parse(text)


@pytest.mark.parametrize("module", [line, document])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted


UNITS = {"units": [{"index": 0, "on": True, "entries": []}, {"index": 1, "on": False, "name": "x", "none": None}]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".", UNITS),
        (".units[1].index", 1),
        (".units[-1].name", "x"),
        (".units[#]", 2),
        (".units[0].entries[#]", 0),
        (".units[index=0x1].name", "x"),
        (".units[name=x].index", 1),
        (".units[on=true].index", 0),
        (".units[index=1,on=false].none", None),
    ],
)
def test_places_in_a_document(path, found):
    assert document.at(UNITS, path) == found


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".unit", "no key 'unit' in .; there are units"),
        (".units.index", "no key 'index': .units is a list"),
        (".units[2]", "no element 2 in .units, which has 2"),
        (".units[on=1].index", "0 elements with on=1 among the 2 of .units, not one"),
        (".units[0][0]", "no [0]: .units[0] is an object, no list"),
        (".units[1].none.x", "no key 'x': .units[1].none is null"),
    ],
)
def test_places_that_are_not_there(path, why):
    with pytest.raises(document.PathError, match=f"^{re.escape(why)}$"):
        document.at(UNITS, path)


@pytest.mark.parametrize("path", ["", "units", ".units[", ".units[]", ".units[0]x", "..units"])
def test_what_is_no_path(path):
    with pytest.raises(UsageError):
        document.at(UNITS, path)


def test_to_standard_output(capsys):
    assert deliver(parse("irt"), lambda out: out.write("text\n")) == 0
    assert capsys.readouterr().out == "text\n"


@pytest.mark.parametrize("at_once", [False, True])
def test_to_a_shell_command(capfd, at_once):
    assert deliver(parse("irt | tr a-z A-Z"), lambda out: out.write("text\n"), at_once=at_once) == 0
    assert capfd.readouterr().out == "TEXT\n"


@pytest.mark.parametrize("at_once", [False, True])
def test_a_shell_command_that_has_seen_enough(capfd, at_once):
    def show(out):
        for _ in range(20_000):
            out.write("many words\n")

    assert deliver(parse("irt | head -c 3"), show, at_once=at_once) == 0
    assert capfd.readouterr().out == "man"


def test_a_shell_command_of_which_there_is_none_says_so_itself(capfd):
    assert deliver(parse("irt | /nowhere/at/all"), lambda out: out.write("text\n")) == 127
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "not found" in printed.err


def test_to_a_file_and_after_what_is_in_it(tmp_path):
    file = tmp_path / "a file"
    for text in ("one\n", "two\n"):
        deliver(parse(f"irt > '{file}'"), lambda out, text=text: out.write(text))
    assert file.read_text() == "two\n"
    deliver(parse(f"irt >> '{file}'"), lambda out: out.write("three\n"))
    assert file.read_text() == "two\nthree\n"


def test_an_answer_that_fails_leaves_the_file_as_it_was(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")

    def show(out):
        out.write("half of it")
        raise KeyError("the target was lost")

    with pytest.raises(KeyError):
        deliver(parse(f"irt > {file}"), show)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_never_over_what_is_being_read(tmp_path):
    dump = tmp_path / "dump"
    dump.write_text("evidence")
    with pytest.raises(UsageError):
        deliver(parse(f"irt > {dump}"), lambda out: out.write("text"), keep=[str(dump)])
    assert dump.read_text() == "evidence"


def test_a_pager_is_only_for_a_terminal(capsys):
    deliver(parse("irt"), lambda out: out.write("line\n" * 500), pager="false")
    assert capsys.readouterr().out == "line\n" * 500


@pytest.mark.parametrize(
    ("text", "words", "file"),
    [
        ("expect irt .units[0].size > 3", ("expect", "irt", ".units[0].size", ">", "3"), None),
        ("expect irt '.units[0].size' >= 3 > f", ("expect", "irt", ".units[0].size", ">=", "3"), "f"),
        ("expect irt .units[0].size == 3 > f", ("expect", "irt", ".units[0].size", "==", "3"), "f"),
        ("irt .x > f", ("irt", ".x"), "f"),
    ],
)
def test_a_sign_after_a_path_that_is_expected_is_no_redirection(text, words, file):
    found = parse(text)
    assert (found.words, found.file) == (words, file)
