"""`vtdpi help`."""

from __future__ import annotations

import pytest

from inspector import commands


def test_the_list_has_every_command(run):
    ran = run("help")
    assert ran.status == 0
    assert all(name in ran.out for name in commands.names())
    assert set(commands.names()) <= set(run("help", "--json").json["commands"])


@pytest.mark.parametrize("name", ["irt", "route", "audit"])
def test_examples_are_command_lines_of_the_shell(run, name):
    """Not lines of a session, which need a target that is open."""
    assert f"vtdpi live {name}" in run("help", name).out or f"vtdpi dump FILE {name}" in run("help", name).out


def test_no_such_command(run):
    ran = run("help", "nope")
    assert (ran.status, ran.out) == (2, "")
    assert "nope" in ran.err


@pytest.mark.parametrize("target", [["sim"], ["sim", "--scenario", "idle"], ["dump", "/nowhere/core"]])
def test_help_behind_a_target_is_that_of_the_prompt(run, target):
    """And the target is not opened for it."""
    assert run(*target, "help", "irqs").out == run("help", "irqs").out
    assert run(*target, "help").out == run("help").out
    assert run(*target, "help", "irqs", "--json").json == run("help", "irqs", "--json").json
    wrong = run(*target, "help", "nosuch")
    assert (wrong.status, wrong.out) == (2, "")
    assert "no command 'nosuch'" in wrong.err
