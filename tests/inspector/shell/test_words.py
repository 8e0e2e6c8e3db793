"""The words of a session itself."""

from __future__ import annotations

from inspector import commands
from inspector.shell.help import OF_THE_SHELL
from inspector.shell.words import ANSWERING


def test_each_is_listed_and_is_no_commands_name():
    assert set(ANSWERING) <= set(OF_THE_SHELL)
    assert set(ANSWERING).isdisjoint(commands.names())
