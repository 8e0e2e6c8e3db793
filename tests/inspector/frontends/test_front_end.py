"""A front end passes its typed options on; every one of vtdpi's own is made so."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import pytest

from inspector.base.arguments import argument, flag
from inspector.base.errors import UsageError
from inspector.frontends.cli import GROUPS
from inspector.frontends.front_end import FrontEnd, front_end, group


@dataclass(frozen=True)
class Options:
    number: int = argument("a number")
    quick: bool = flag("quickly")


@dataclass(frozen=True)
class Others:
    number: str | None = argument("a text", None)


@pytest.fixture
def done():
    return []


@pytest.fixture
def two(done):
    """Two of a group, which keep their options; the statuses are 3 and 4."""
    return group(
        {
            "one": front_end(Options, lambda options: done.append(options) or 3, "the first", "What the first does."),
            "two": front_end(Others, lambda options: done.append(options) or 4, "the second"),
        }
    )


def test_one_alone(done):
    alone = front_end(Options, lambda options: done.append(options) or 0)
    assert alone.main("vtdpi x", ["0x10", "--qui"], "It is.") == 0
    assert done == [Options(16, True)]


def test_each_of_a_group_has_options_of_its_own(two, done):
    assert [two.main("x", words, "") for words in (["one", "7"], ["two", "seven"], ["two"])] == [3, 4, 4]
    assert done == [Options(7), Others("seven"), Others(None)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], r"required: COMMAND \(`vtdpi x --help`"),
        (["three"], r"invalid choice: 'three' \(choose from '?one'?, '?two'?\)"),
        (["one"], r"required: N \(`vtdpi x one --help`"),
        (["one", "many"], "'many' is no number"),
        (["two", "--quick"], "unrecognized arguments: --quick"),
    ],
)
def test_what_it_does_not_take(two, done, words, said):
    with pytest.raises(UsageError, match=said):
        two.main("vtdpi x", words, "")
    assert done == []


def test_help_begins_with_what_it_says_or_with_what_its_list_says(two, capsys):
    for words in (["--help"], ["one", "--help"]):
        with pytest.raises(SystemExit):
            two.main("vtdpi x", words, "What the group is for.")
    whole = capsys.readouterr().out
    for text in ("What the group is for.", "the first", "the second", "What the first does."):
        assert text in whole


@pytest.mark.parametrize("name", GROUPS)
def test_every_one_is_made_of_typed_options(name):
    summary, home = GROUPS[name]
    assert summary
    assert isinstance(import_module(home).FRONT_END, FrontEnd)
