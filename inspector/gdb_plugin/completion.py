"""Completion of a command's words by gdb: its options, and the objects of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gdb  # type: ignore[import-untyped]

from inspector import commands
from inspector.base.errors import UNREADABLE
from inspector.gdb_plugin import packages
from inspector.gdb_plugin.attached import attached
from inspector.repl.grammar import COMMAND, FILE, Grammar, Syntax, Value
from inspector.repl.objects import Objects, known

_grammar: Grammar | None = None
_objects: dict[str, tuple[object, Objects]] = {}


def complete(name: str, text: str, word: str | None) -> Any:
    """What may stand at the end of a command's text, as gdb.Command.complete gives it.

    Args:
        name: the command.
        text: what follows the command's name.
        word: the end of it that gdb takes for the word; None if gdb only asks how to cut words.
    """
    global _grammar
    packages.need()
    if _grammar is None:
        _grammar = Grammar()
    *before, last = text.split(" ")
    words = [name, *filter(None, before)]
    found = _grammar.at(words)
    if found is None:
        return []
    syntax, value = found
    if value and FILE in value.kinds and not last.startswith("-"):
        return gdb.COMPLETE_FILENAME
    if word is None:
        return []
    # gdb cuts words at signs that are parts of ours (`--posted`, `00:1f.0`), and wants what follows the cut.
    cut = len(last) - len(word)
    return [one[cut:] for one in _candidates(syntax, value, words, last) if one.startswith(last)]


def _candidates(syntax: Syntax, value: Value | None, words: list[str], last: str) -> Iterator[str]:
    if last.startswith("-") or value is None:
        yield from syntax.unused(words)
        return
    yield from value.choices
    for kind in value.kinds:
        if kind == COMMAND:
            yield from commands.names()
        else:
            yield from (name for name, _ in _of(kind).beginning(last))


def _of(kind: str) -> Objects:
    """The objects of a kind, as of the last look."""
    with attached() as now:
        inspection = now.session.inspection
        at, objects = _objects.get(kind, (None, Objects(())))
        if at is not inspection:
            try:
                objects = known(kind)(inspection)
            except UNREADABLE:
                objects = Objects(())
            _objects[kind] = inspection, objects
        return objects
