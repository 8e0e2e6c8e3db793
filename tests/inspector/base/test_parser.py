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
