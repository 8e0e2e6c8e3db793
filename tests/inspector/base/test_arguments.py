"""Typed arguments: what each type means, and what is no argument."""

from __future__ import annotations

import doctest
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given as tried
from hypothesis import strategies as st

from inspector.base import arguments
from inspector.base.arguments import (
    REQUIRED,
    BadWord,
    FileName,
    Form,
    Word,
    add_arguments,
    argument,
    arguments_of,
    flag,
    given,
    json_flag,
    meant,
    option,
    read_integer,
    read_number,
    section,
)
from inspector.base.errors import UsageError
from inspector.base.parser import Parser

Colour = Annotated[str, Word("COLOUR", kind="COLOUR", noun="colour", example="red")]
Size = Annotated[int, Word("SIZE", read_number, noun="size", example="4")]


def read_red(word):
    if word != "red":
        raise BadWord(f"{word!r} is not red")
    return word


Red = Annotated[str, Word("RED", read_red, noun="red", example="red")]


@dataclass(frozen=True)
class Everything:
    first: Size = argument("a size")
    others: tuple[Path, ...] = argument("files", ())
    quick: bool = flag("quickly")
    unit: int | None = option("a unit", metavar="N")
    mode: Literal["fast", "slow"] = option("how", "fast")
    which: Red | Size = option("one of two", flags=["-w", "--which"])
    later: tuple[str, ...] = option("again", (), group="times")


def test_what_a_type_means():
    named = {each.name: each for each in arguments_of(Everything)}
    assert {name: each.form for name, each in named.items()} == {
        "first": Form.ONE,
        "others": Form.MANY,
        "quick": Form.FLAG,
        "unit": Form.ONE,
        "mode": Form.ONE,
        "which": Form.ONE,
        "later": Form.MANY,
    }
    assert (named["first"].required, named["others"].required, named["unit"].required) == (True, False, False)
    assert (named["first"].metavar, named["unit"].metavar, named["which"].metavar) == ("SIZE", "N", "RED|SIZE")
    assert (named["which"].flags, named["later"].flags, named["first"].flags) == (("-w", "--which"), ("--later",), ())
    assert named["mode"].choices == ("fast", "slow")
    assert (named["quick"].takes_value, named["unit"].takes_value, named["later"].group) == (False, True, "times")
    assert named["others"].read("x") == Path("x")


def test_one_of_several_words():
    which = arguments_of(Everything)[5]
    assert (which.read("red"), which.read("0x10")) == ("red", 16)
    with pytest.raises(BadWord, match=r"'blue' is neither a red, such as red, nor a size, such as 4$"):
        which.read("blue")


def test_its_values_are_those_of_a_dataclass():
    assert Everything(3) == Everything(3, (), False, None, "fast", None, ())


def test_what_is_declared_by_nothing_is_refused():
    @dataclass(frozen=True)
    class Wrong:
        plain: int = 3

    with pytest.raises(TypeError, match="plain is declared neither by argument"):
        arguments_of(Wrong)


@pytest.mark.parametrize("word", ["-1", "x", "", "1.5"])
def test_what_is_no_number(word):
    with pytest.raises(BadWord, match="is no number"):
        read_number(word)
    if word != "-1":
        with pytest.raises(BadWord, match="is no number"):
            read_integer(word)
    assert (read_number("0x18"), read_integer("-1")) == (24, -1)


def test_the_examples_run():
    result = doctest.testmod(arguments)
    assert (result.attempted > 0, result.failed) == (True, 0)


@dataclass(frozen=True)
class Arguments:
    file: FileName = argument("a file")
    more: tuple[int, ...] = argument("numbers", ())
    quick: bool = flag("quickly")
    name: tuple[str, ...] = option("a name", ())
    mode: Literal["fast", "slow"] = option("how", "fast")
    one: int | None = option("this", group="either")
    other: int | None = option("or that", group="either")


@dataclass(frozen=True)
class Rest:
    words: tuple[str, ...] = argument("all of them", metavar="WORD", rest=True)


def parsed(kind, *words):
    parser = Parser("x")
    add_arguments(parser, kind)
    return given(kind, parser.parse_args(words))


@tried(
    st.builds(
        Arguments,
        file=st.text("abc/.", min_size=1),
        more=st.lists(st.integers(0, 1 << 70), max_size=4).map(tuple),
        quick=st.booleans(),
        name=st.lists(st.text("xyz", min_size=1), max_size=3).map(tuple),
        mode=st.sampled_from(["fast", "slow"]),
        one=st.none() | st.integers(0, 99),
        other=st.none(),
    )
)
def test_there_and_back(wanted):
    words = [wanted.file, *map(hex, wanted.more), "--mode", wanted.mode]
    words += [word for name in wanted.name for word in ("--name", name)]
    words += ["--quick"] * wanted.quick + ([] if wanted.one is None else ["--one", str(wanted.one)])
    assert parsed(Arguments, *words) == wanted


def test_all_words_that_follow():
    assert parsed(Rest, "irt", "--posted", ".a", "==", "3") == Rest(("irt", "--posted", ".a", "==", "3"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "required: FILE"),
        (("f", "x"), "'x' is no number"),
        (("f", "--mode", "x"), "invalid choice: 'x'"),
        (("f", "--one", "1", "--other", "2"), "not allowed with argument --one"),
    ],
)
def test_what_it_does_not_take(words, message):
    with pytest.raises(UsageError, match=message):
        parsed(Arguments, *words)


@dataclass(frozen=True)
class Bounds:
    most: int | None = option("so many")
    names: tuple[str, ...] = option("a name", (), metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class Sectioned:
    where: Path = option("where to", REQUIRED)
    which: tuple[str, ...] = option("one at least", REQUIRED, metavar="W")
    bounds: Bounds = section(Bounds, "bounds", "how far it goes")
    json: bool = json_flag()


def test_a_section_is_a_value_of_its_own_and_a_part_of_the_help():
    assert [each.name for each in arguments_of(Sectioned)] == ["where", "which", "most", "names", "json"]
    needed = ("--where", "x", "--which", "a")
    assert parsed(Sectioned, *needed) == Sectioned(where=Path("x"), which=("a",))
    bounds = Bounds(3, ("b", "c"))
    words = ("--most", "3", "--names", "b", "--names=c", "--json")
    assert parsed(Sectioned, *needed, *words) == Sectioned(where=Path("x"), which=("a",), bounds=bounds, json=True)
    parser = Parser("x")
    add_arguments(parser, Sectioned)
    options, _, below = parser.format_help().partition("\nbounds:\n  how far it goes\n")
    assert "--json" in options
    assert [line.split()[0] for line in below.splitlines() if line.strip()] == ["--most", "--names"]


@pytest.mark.parametrize(
    ("words", "message"), [((), "required: --where, --which"), (("--where", "x"), "required: --which")]
)
def test_an_option_that_must_be_given(words, message):
    with pytest.raises(UsageError, match=message):
        parsed(Sectioned, *words)


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("--first", ["--first"]),
        ("--fi", ["--first", "--fifth"]),
        ("--fir=1", ["--first"]),
        ("-f", ["-f"]),
        ("--", []),
        ("-", []),
        ("first", []),
        ("--firsts", []),
    ],
)
def test_the_options_that_a_word_may_mean(word, names):
    assert meant(word, ["--first", "--fifth", "-f", "--no"]) == names


@dataclass(frozen=True)
class Saved:
    load: FileName | None = option("a file")
    seed: int = option("a number", 0)
    mode: Literal["fast", "slow"] = option("how", "fast")
    more: str = option("whatever", "")
    words: tuple[str, ...] = argument("words", ())


@pytest.mark.parametrize("name", ["--load", "--seed", "--mode", "--more"])
def test_an_option_without_a_value_is_not_passed_over(name):
    """As of a variable of a script that is not set: without it something else would be looked at."""
    parser = Parser("vtdpi x")
    add_arguments(parser, Saved)
    for words in ([name, ""], [f"{name}="]):
        with pytest.raises(UsageError, match=f"argument {name}: expected a value, found an empty one"):
            parser.parse_args(words)
    assert given(Saved, parser.parse_args(["", "--load", "x"])) == Saved("x", words=("",))
    assert given(Saved, parser.parse_args([])) == Saved(), "a default may be empty"


@dataclass(frozen=True)
class Lines:
    lines: tuple[str, ...] = option("a line", (), flags=["-c"])
    files: tuple[Path, ...] = option("lines of a file", (), into="lines")


def test_two_options_may_fill_one_list_in_the_order_of_the_line():
    parser = Parser("vtdpi x")
    add_arguments(parser, Lines)
    read = given(Lines, parser.parse_args(["-c", "a", "--files", "b", "-c", "c"]))
    assert read == Lines(lines=("a", Path("b"), "c"))
    assert given(Lines, parser.parse_args([])) == Lines()
