"""Typed arguments: what each type means, and what is no argument."""

from __future__ import annotations

import doctest
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from inspector.base import arguments
from inspector.base.arguments import (
    BadWord,
    Form,
    Word,
    argument,
    arguments_of,
    flag,
    option,
    read_integer,
    read_number,
)

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
