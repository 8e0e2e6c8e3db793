"""vtdpi's commands in gdb: help, and what is wrong in one line."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("vtdpi irt", "vtdpi: gdb is attached to nothing; expected a machine: `target remote HOST:PORT`"),
        ("vtdpi cont", "vtdpi: gdb itself lets the machine run: `continue`"),
        ("vtdpi auditt", "did you mean audit?"),
        ("vtdpi irte", "vtdpi: the following arguments are required: "),
    ],
)
def test_what_is_wrong_is_one_line(gdb, command, said):
    _, err = gdb(command)
    assert said in err
    assert err.count("\n") == 1


def test_help_is_the_commands_own(gdb):
    out, _ = gdb("help vtdpi irt", "vtdpi irt --help", "help vtdpi", "help irt")
    assert "\nvtdpi irt --posted " in out
    assert "--device BDF" in out
    assert "\nvtdpi audit -- What is wrong with it.\n" in out
