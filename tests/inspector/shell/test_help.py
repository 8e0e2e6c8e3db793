"""Help: the list has every command, and each has a page of its own."""

from __future__ import annotations

import pytest

from inspector import commands
from inspector.base.errors import UsageError
from inspector.shell.help import OF_THE_SHELL, answer


def text_of(found):
    return "\n".join(getattr(block, "text", "") for block in found.blocks)


def test_the_list_has_every_command_with_what_it_is_for():
    listed = answer([]).document["commands"]
    assert set(listed) == set(commands.names()) | set(OF_THE_SHELL)
    assert all(listed.values())


@pytest.mark.parametrize("name", ["irt", "audit", "route"])
def test_a_command_has_options_and_examples(name):
    found = answer([name]).document
    assert found["command"] == name
    assert "--json" in found["help"]
    assert f"\n{name}" in found["help"]


def test_the_shells_own_words_and_aliases():
    assert answer(["quit"]).document["command"] == "quit"
    aliases = {"p": "irt --posted"}
    assert answer(["p"], aliases).document["alias"] == "p"
    assert "irt --posted" in text_of(answer(["p"], aliases))
    assert answer([], aliases).document["aliases"] == aliases


def test_an_alias_hides_a_command_as_it_does_at_the_prompt():
    assert answer(["irt"], {"irt": "irte 3"}).document["alias"] == "irt"


def test_no_such_command():
    with pytest.raises(UsageError, match="nope"):
        answer(["nope"])
