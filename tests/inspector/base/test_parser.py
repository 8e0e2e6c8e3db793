"""A parser complains in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as tried
from hypothesis import strategies as st

from inspector.base.arguments import FileName, argument, flag, option
from inspector.base.errors import UsageError
from inspector.base.parser import Parser, add_arguments, given


def test_a_complaint_is_a_usage_error_that_says_where_help_is(capsys):
    parser = Parser("vtdpi x")
    parser.add_argument("--unit", type=int)
    with pytest.raises(UsageError, match=r"unrecognized arguments: --no \(`vtdpi x --help` tells the options\)"):
        parser.parse_args(["--no"])
    assert capsys.readouterr() == ("", "")
    assert parser.parse_args(["--un", "3"]).unit == 3


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
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
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
