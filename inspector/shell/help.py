"""Help on commands, for whoever types them one after another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from inspector.commands import COMMANDS
from inspector.model.answer import Answer, Block, Facts, Text
from inspector.shell import request

BUILT_IN = {
    "help": "this list, or `help COMMAND`: its options and examples",
    "quit": "leave, with the target as it was found (or Ctrl-D)",
}

LINES = (
    ("COMMAND --json", "one JSON document"),
    ("COMMAND | less", "the answer to a shell command: `| grep posted`, `| head`"),
    ("COMMAND > FILE", "the answer to a file; >> appends"),
    ("Tab, Ctrl-R, Right", "complete; search the history; take the suggestion"),
    ("Ctrl-C, Ctrl-D", "cancel the command; leave"),
)


def answer(words: Sequence[str], aliases: Mapping[str, str] | None = None) -> Answer:
    """The list of commands, or one command's help.

    Raises:
        UsageError: there is no such command.
    """
    if words and words[0] in (aliases or {}):
        return Answer({"alias": words[0]}, [Text(f"{words[0]} is an alias of: {(aliases or {})[words[0]]}")])
    if words and words[0] in BUILT_IN:
        return Answer({"command": words[0]}, [Text(f"{words[0]}: {BUILT_IN[words[0]]}")])
    if words:
        text = in_session(request.parser(words[0]).format_help())
        return Answer({"command": words[0], "help": text}, [Text(text.rstrip())])
    every = {**COMMANDS, **BUILT_IN}
    blocks: list[Block] = [Facts(list(every.items()), "commands")]
    if aliases:
        blocks.append(Facts(list(aliases.items()), "aliases"))
    blocks.append(Facts(LINES, "lines"))
    return Answer({"commands": every, "aliases": dict(aliases or {})}, blocks)


def in_session(text: str) -> str:
    """A command's help with its examples as one types them in a session: without `vtdpi` and the target."""
    examples = re.sub(r"^( *)vtdpi (?:live|dump FILE|sim) (?!-c)", r"\1", text, flags=re.MULTILINE)
    return re.sub(
        r"^( *)vtdpi (?:live|dump FILE|sim) (-c .*)$",
        lambda line: "\n".join(line[1] + part.strip() for part in line[2].split("-c ") if part.strip()),
        examples,
        flags=re.MULTILINE,
    )
