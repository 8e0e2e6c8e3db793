"""A parser complains in one line."""

from __future__ import annotations

import pytest

from inspector.base.errors import UsageError
from inspector.base.parser import Parser


def test_a_complaint_is_a_usage_error_that_says_where_help_is(capsys):
    parser = Parser("vtdpi x")
    parser.add_argument("--unit", type=int)
    with pytest.raises(UsageError, match=r"unrecognized arguments: --no \(`vtdpi x --help` tells the options\)"):
        parser.parse_args(["--no"])
    assert capsys.readouterr() == ("", "")
    assert parser.parse_args(["--un", "3"]).unit == 3


def test_an_option_without_a_value_is_not_passed_over():
    parser = Parser("vtdpi x")
    parser.add_argument("--load")
    parser.add_argument("words", nargs="*")
    for words in (["--load", ""], ["--load="]):
        with pytest.raises(UsageError, match="argument --load: expected a value, found an empty one"):
            parser.parse_args(words)
    assert parser.parse_args(["", "--load", "x"]).words == [""]
