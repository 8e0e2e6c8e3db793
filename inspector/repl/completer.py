"""Completion of a line: commands, options, and the objects of this machine, with how each is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from inspector import line
from inspector.repl.grammar import COMMAND, FILE, SUMMARIES, Grammar, Syntax, Value
from inspector.repl.objects import Objects

FILTERS = {
    "grep": "the lines that match",
    "less": "page by page",
    "head": "the first lines",
    "tail": "the last lines",
    "wc -l": "how many lines",
    "sort": "sorted",
}


class LineCompleter(Completer):
    """Completes what is known at once; what is not yet known completes when it is (`missed` tells).

    Args:
        grammar: gives the commands' syntax, None while it is not known.
        objects: gives the objects of a kind, None while they are not known.
        aliases: the user's own words for the beginning of a line.
    """

    def __init__(
        self,
        grammar: Callable[[], Grammar | None],
        objects: Callable[[str], Objects | None],
        aliases: Mapping[str, str],
    ) -> None:
        self.missed = False
        self._grammar = grammar
        self._objects = objects
        self._aliases = aliases
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """As Completer.get_completions; never waits."""
        before, redirect, after = line.split(document.text_before_cursor)
        if redirect == "|":
            filters = FILTERS.items() if " " not in after.lstrip() else ()
            return _matching(filters, after.lstrip())
        if redirect:
            return self._path(after.lstrip(), complete_event)
        if before != document.text_before_cursor:
            return ()
        words = before.split()
        prefix = words.pop() if words and not before[-1].isspace() else ""
        return self._word(words, prefix, complete_event)

    def _word(self, words: Sequence[str], prefix: str, event: CompleteEvent) -> Iterable[Completion]:
        if not words:
            return self._commands(prefix)
        if words[0] in self._aliases:
            words = [*self._aliases[words[0]].split(), *words[1:]]
        grammar = self._grammar()
        if grammar is None:
            self.missed = True
            return ()
        found = grammar.at(words)
        if found is None:
            return ()
        syntax, value = found
        if prefix.startswith("-"):
            return _matching(_options(syntax, words), prefix)
        return self._values(value, prefix, event, _options(syntax, words) if not prefix else ())

    def _commands(self, prefix: str) -> Iterator[Completion]:
        aliases = {name: f"alias of {stands_for}" for name, stands_for in self._aliases.items()}
        return _matching(sorted({**SUMMARIES, **aliases}.items()), prefix)

    def _values(
        self, value: Value | None, prefix: str, event: CompleteEvent, options: Iterable[tuple[str, str]]
    ) -> Iterator[Completion]:
        if value:
            yield from _matching([(choice, value.help) for choice in value.choices], prefix)
            for kind in value.kinds:
                if kind == COMMAND:
                    yield from _matching(sorted(SUMMARIES.items()), prefix)
                elif kind == FILE:
                    yield from self._path(prefix, event)
                elif (objects := self._objects(kind)) is None:
                    self.missed = True
                else:
                    yield from _completions(objects.beginning(prefix), prefix)
        yield from _matching(options, prefix)

    def _path(self, prefix: str, event: CompleteEvent) -> Iterable[Completion]:
        return self._paths.get_completions(Document(prefix), event)


def _options(syntax: Syntax, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((name, option.help) for name, option in syntax.options.items() if name not in (*words, "-h", "--help"))


def _matching(described: Iterable[tuple[str, str]], prefix: str) -> Iterator[Completion]:
    return _completions(((name, words) for name, words in described if name.startswith(prefix)), prefix)


def _completions(described: Iterable[tuple[str, str]], prefix: str) -> Iterator[Completion]:
    return (Completion(name, -len(prefix), display_meta=words) for name, words in described)
