"""Completion of a line: commands, options, and the objects of this machine, with how each is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.eventloop import generator_to_async_generator

from inspector.repl.grammar import COMMAND, FILE, SUMMARIES, Grammar, Syntax, Value
from inspector.repl.objects import KINDS, Objects
from inspector.shell import line

FILTERS = {
    "grep": "the lines that match",
    "less": "page by page",
    "head": "the first lines",
    "tail": "the last lines",
    "wc -l": "how many lines",
    "sort": "sorted",
}


POLL = 0.02
# A menu is read, not searched; more only costs time at each key press.
MOST = 500


class LineCompleter(Completer):
    """Completes what is known at once; what is being read completes when it is known, if the line is still the same.

    Args:
        grammar: gives the commands' syntax, None while it is not known.
        objects: gives the objects of a kind, None while they are not known.
        reading: whether a kind's objects, or the grammar (kind ""), will be known soon.
        aliases: the user's own words for the beginning of a line.
    """

    def __init__(
        self,
        grammar: Callable[[], Grammar | None],
        objects: Callable[[str], Objects | None],
        reading: Callable[[str], bool],
        aliases: Mapping[str, str],
    ) -> None:
        self._grammar = grammar
        self._objects = objects
        self._reading = reading
        self._aliases = aliases
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """As Completer.get_completions, from what is known; never waits."""
        before, redirect, after = line.split(document.text_before_cursor)
        if redirect == "|":
            filters = FILTERS.items() if " " not in after.lstrip() else ()
            return _matching(filters, after.lstrip())
        if redirect:
            return self._path(after.lstrip(), complete_event)
        if before != document.text_before_cursor:
            return ()
        words, prefix = self._words(before)
        if not words:
            return self._commands(prefix)
        found = self._place(words)
        if found is None:
            return ()
        syntax, value = found
        options = _matching(_options(syntax, words), prefix)
        return options if prefix.startswith("-") else chain(self._values(value, prefix, complete_event), options)

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """As Completer.get_completions_async; waits while what it takes is being read, and holds up no key press."""
        buffer = get_app().current_buffer
        while self._is_reading(document):
            await asyncio.sleep(POLL)
            if buffer.document != document:
                return
        async for completion in generator_to_async_generator(lambda: self.get_completions(document, complete_event)):
            yield completion

    def _is_reading(self, document: Document) -> bool:
        before, redirect, _ = line.split(document.text_before_cursor)
        words, prefix = self._words(before)
        if redirect or not words or before != document.text_before_cursor:
            return False
        if self._grammar() is None:
            return self._reading("")
        _, value = self._place(words) or (None, None)
        if value is None or prefix.startswith("-"):
            return False
        missing = [kind for kind in value.kinds if kind in KINDS and self._objects(kind) is None]
        return any(map(self._reading, missing))

    def _words(self, before: str) -> tuple[list[str], str]:
        """The whole words, aliases replaced, and the one that is being typed."""
        words = before.split()
        prefix = words.pop() if words and not before[-1].isspace() else ""
        if words and words[0] in self._aliases:
            words[:1] = self._aliases[words[0]].split()
        return words, prefix

    def _place(self, words: Sequence[str]) -> tuple[Syntax, Value | None] | None:
        grammar = self._grammar()
        return grammar.at(words) if grammar else None

    def _commands(self, prefix: str) -> Iterator[Completion]:
        aliases = {name: f"alias of {stands_for}" for name, stands_for in self._aliases.items()}
        return _matching(sorted({**SUMMARIES, **aliases}.items()), prefix)

    def _values(self, value: Value | None, prefix: str, event: CompleteEvent) -> Iterator[Completion]:
        if value is None:
            return
        yield from _matching([(choice, value.help) for choice in value.choices], prefix)
        for kind in value.kinds:
            if kind == COMMAND:
                yield from _matching(sorted(SUMMARIES.items()), prefix)
            elif kind == FILE:
                yield from self._path(prefix, event)
            elif objects := self._objects(kind):
                found = objects.beginning(prefix)
                yield from _completions(islice(found, MOST), prefix)
                if next(found, None):
                    more = f"there are {len(objects):,} in all: type on"
                    yield Completion(prefix, -len(prefix), display="…", display_meta=more)

    def _path(self, prefix: str, event: CompleteEvent) -> Iterable[Completion]:
        return self._paths.get_completions(Document(prefix), event)


def _options(syntax: Syntax, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((name, option.help) for name, option in syntax.unused(words).items())


def _matching(described: Iterable[tuple[str, str]], prefix: str) -> Iterator[Completion]:
    return _completions(((name, words) for name, words in described if name.startswith(prefix)), prefix)


def _completions(described: Iterable[tuple[str, str]], prefix: str) -> Iterator[Completion]:
    return (Completion(name, -len(prefix), display_meta=words) for name, words in described)
