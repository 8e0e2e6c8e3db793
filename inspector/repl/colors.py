"""The colours of a line as it is typed. What is no command is underlined too: never colour alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from inspector.repl.grammar import SUMMARIES, Grammar
from inspector.shell import line

_PART = re.compile(r"\s+|(?:\"[^\"]*\"?|'[^']*'?|[^\s\"'])+")
_VALUE = re.compile(r"0x[0-9a-fA-F]+|\d[\d.:a-fA-F]*|d\d+v\d+")


class LineLexer(Lexer):
    """Styles `class:command`, `class:unknown`, `class:option` and so on for the parts of a line."""

    def __init__(self, grammar: Callable[[], Grammar | None], aliases: Collection[str]) -> None:
        self._grammar = grammar
        self._aliases = aliases

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """As Lexer.lex_document; never waits."""
        return lambda number: self._styled(document.lines[number])

    def _styled(self, text: str) -> StyleAndTextTuples:
        ours, redirect, rest = line.split(text)
        styled: StyleAndTextTuples = []
        name = ""
        for part in _PART.findall(ours):
            if part.isspace():
                styled.append(("", part))
            elif not name:
                name = part
                styled.append((f"class:{'command' if self._is_command(part) else 'unknown'}", part))
            else:
                styled.append((self._style(name, part), part))
        if redirect:
            styled.append(("class:pipe", redirect + rest))
        elif len(ours) < len(text):
            styled.append(("class:comment", text[len(ours) :]))
        return styled

    def _is_command(self, word: str) -> bool:
        return word in SUMMARIES or word in self._aliases or word == "exit"

    def _style(self, name: str, part: str) -> str:
        if part.startswith("-"):
            grammar = self._grammar()
            syntax = grammar.commands.get(name) if grammar else None
            stem = part.partition("=")[0]
            wrong = syntax and not syntax.nested and not any(option.startswith(stem) for option in syntax.options)
            return "class:unknown" if wrong else "class:option"
        if part[0] in "\"'":
            return "class:string"
        return "class:value" if _VALUE.fullmatch(part) else ""
