"""Help on commands, for whoever types them one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from inspector import commands
from inspector.commands.command import Example
from inspector.model.answer import Answer, Block, Facts, Text

SCHEMA = "vtdpi/help/1"

OF_THE_SHELL = {
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


def answer(
    words: Sequence[str],
    aliases: Mapping[str, str] | None = None,
    example: Callable[[Example], str] = Example.of_session,
) -> Answer:
    """The list of commands, or one command's help.

    Raises:
        UsageError: there is no such command.
    """
    if words and words[0] in (aliases or {}):
        return Answer(
            {"schema": SCHEMA, "alias": words[0]}, [Text(f"{words[0]} is an alias of: {(aliases or {})[words[0]]}")]
        )
    if words and words[0] in OF_THE_SHELL:
        return Answer({"schema": SCHEMA, "command": words[0]}, [Text(f"{words[0]}: {OF_THE_SHELL[words[0]]}")])
    if words:
        text = commands.load(words[0]).parser(example=example).format_help()
        return Answer({"schema": SCHEMA, "command": words[0], "help": text}, [Text(text.rstrip())])
    every = {**commands.summaries(), **OF_THE_SHELL}
    blocks: list[Block] = [Facts(list(every.items()), "commands")]
    if aliases:
        blocks.append(Facts(list(aliases.items()), "aliases"))
    blocks.append(Facts(LINES, "lines"))
    return Answer({"schema": SCHEMA, "commands": every, "aliases": dict(aliases or {})}, blocks)
