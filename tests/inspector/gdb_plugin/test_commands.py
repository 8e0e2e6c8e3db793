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


def test_a_table_fits_gdbs_width_and_a_pipe_has_all_of_it(gdb, golden):
    core = f"core-file {golden('lost-wakeup')}"
    out, _ = gdb(core, "set width 70", "vtdpi vcpus")
    rows = [line for line in out.splitlines() if line.startswith(("VCPU", "d1v"))]
    assert len(rows) == 7
    assert all(len(row) <= 70 for row in rows)
    assert "not shown for want of width: DESCRIPTOR" in out
    piped, _ = gdb(core, "set width 70", "pipe vtdpi vcpus | head -1")
    assert "DESCRIPTOR" in piped


def test_a_pipe_of_the_shells_is_told_gdbs(gdb, golden):
    _, err = gdb(f"core-file {golden('lost-wakeup')}", "vtdpi vcpus | head -1")
    assert "gdb itself pipes: `pipe vtdpi vcpus | head -1`" in err
