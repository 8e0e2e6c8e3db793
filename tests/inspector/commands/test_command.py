"""What a command is, and how an answer in parts ends."""

from __future__ import annotations

import pytest

from inspector.base.arguments import NoArguments
from inspector.commands.command import Example, command, finish
from inspector.model.answer import Answer, Text


@command(
    NoArguments,
    Example("sim --scenario idle", "block d1v0\nvcpus", "two lines"),
    Example("live", "x"),
    while_running=True,
)
def x(inspection, arguments):
    """What it does.

    More of it.
    """
    return Answer({"of": inspection}, [])


def test_the_function_says_it_all():
    assert (x.name, x.summary, x.help) == ("x", "What it does", "What it does.\n\nMore of it.")
    assert (x.while_running, x.instead_in_gdb) == (True, "")
    assert x.answer("here").document == {"schema": "vtdpi/x/3", "of": "here"}


def test_examples_as_one_types_them():
    first, second = x.examples
    assert first.of_shell() == "vtdpi sim --scenario idle -c 'block d1v0' -c vcpus"
    assert first.of_session() == "block d1v0\nvcpus"
    assert first.of_session("vtdpi ") == "vtdpi block d1v0\nvtdpi vcpus"
    assert (second.of_shell(), Example("", "explain S8").of_shell()) == ("vtdpi live x", "vtdpi explain S8")
    assert x.explained().endswith("vtdpi sim --scenario idle -c 'block d1v0' -c vcpus   two lines\nvtdpi live x")


def parts(ended):
    try:
        for number in range(5):
            yield Text(str(number))
    except KeyboardInterrupt:
        ended.append("interrupted")
    finally:
        ended.append("closed")
    return Answer({"ended": list(ended)}, [])


def test_parts_are_seen_when_they_come():
    seen = []
    assert finish(parts([]), lambda block: seen.append(block.text)).document == {"ended": ["closed"]}
    assert seen == list("01234")


def test_ctrl_c_while_a_part_is_shown_is_the_command_s():
    def shown(block):
        if block.text == "2":
            raise KeyboardInterrupt

    assert finish(parts([]), shown).document == {"ended": ["interrupted", "closed"]}


def test_what_fails_while_a_part_is_shown_ends_it():
    ended = []

    def shown(block):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        finish(parts(ended), shown)
    assert ended == ["closed"]
