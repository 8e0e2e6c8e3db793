"""Nobody looks on unless somebody does."""

from __future__ import annotations

from inspector.shell.guide import NOBODY


def test_nobody_takes_no_line_and_has_nothing_to_say(capsys):
    assert not NOBODY.takes("again")
    NOBODY.after("again")
    assert capsys.readouterr() == ("", "")
