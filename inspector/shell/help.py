"""Help on commands, for whoever types them one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from inspector import commands
from inspector.commands.command import Example
from inspector.model.answer import Answer, AnyAnswer, Block, Facts, Text
from inspector.model.schema_name import schema_name

if TYPE_CHECKING:
    from inspector.model.documents import Help

SCHEMA = schema_name("help")

OF_THE_SHELL = {
    "help": "this list, or `help COMMAND`: its options and examples",
    "source": "run the commands of a file",
    "repeat": "run a line several times: repeat 3 step",
    "set": "change a setting for this session: set format csv; with --keep in your configuration too",
    "show": "what is set, or one setting: show width",
    "unset": "have a setting be as it is without any configuration: unset width",
    "open": "open another target in place of this one: open dump FILE, open live ADDRESS, open sim SCENARIO",
    "history": "the lines of this session, or the last few: history 20",
    "quit": "leave, with the target as it was found (or Ctrl-D)",
}

LINES = (
    ("COMMAND --json", "one JSON document"),
    ("COMMAND | less", "the answer to a shell command: `| grep posted`, `| head`"),
    ("COMMAND; COMMAND", "one after the other; so are several lines that are pasted"),
    ("!COMMAND", "a shell command"),
    ("COMMAND > FILE", "the answer to a file; >> appends"),
    ("Tab, Ctrl-R, Right", "complete; search the history; take the suggestion"),
    ("Ctrl-C, Ctrl-D", "cancel the command; leave"),
)


def answer(
    words: Sequence[str],
    aliases: Mapping[str, str] | None = None,
    example: Callable[[Example], str] = Example.of_session,
) -> AnyAnswer:
    """The list of commands, or one command's help.

    Raises:
        UsageError: there is no such command.
    """
    return _answer(words, aliases or {}, example).named(SCHEMA)


def _answer(words: Sequence[str], aliases: Mapping[str, str], example: Callable[[Example], str]) -> Answer[Help]:
    if words and words[0] in aliases:
        return Answer({"alias": words[0]}, [Text(f"{words[0]} is an alias of: {aliases[words[0]]}")])
    if words and words[0] in OF_THE_SHELL:
        return Answer({"command": words[0]}, [Text(f"{words[0]}: {OF_THE_SHELL[words[0]]}")])
    if words:
        text = commands.load(words[0]).parser(example=example).format_help()
        return Answer({"command": words[0], "help": text}, [Text(text.rstrip())])
    every = {**commands.summaries(), **OF_THE_SHELL}
    blocks: list[Block] = [Facts(list(every.items()), "commands")]
    if aliases:
        blocks.append(Facts(list(aliases.items()), "aliases"))
    blocks.append(Facts(LINES, "lines"))
    return Answer({"commands": every, "aliases": dict(aliases)}, blocks)
