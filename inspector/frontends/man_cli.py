"""`vtdpi man`: the manual page, made from the commands' typed arguments and their help."""

from __future__ import annotations

from collections.abc import Iterator

from inspector import __version__
from inspector.base.arguments import Argument, NoArguments, arguments_of
from inspector.frontends.front_end import front_end

STATUS = (
    ("0", "fine"),
    ("1", "the audit found a bug, a property is broken, or `expect` failed"),
    ("2", "the words of the command line are wrong"),
    ("3", "the target, or a part of it, could not be read"),
    ("4", "a search stopped before it had visited all states, and found nothing broken until then"),
    ("130", "interrupted"),
)


def run(options: NoArguments) -> int:
    """Print the page (roff); the exit status. `vtdpi man > vtdpi.1; man ./vtdpi.1` shows it."""
    print("\n".join(_lines()))
    return 0


def _lines() -> Iterator[str]:
    from inspector import commands
    from inspector.frontends.cli import DESCRIPTION, GROUPS, TARGETS
    from inspector.frontends.target_words import KINDS

    yield f'.TH VTDPI 1 "" "vtdpi {__version__}" "User Commands"'
    yield f".SH NAME\nvtdpi \\- {_roff(DESCRIPTION[:1].lower() + DESCRIPTION[1:].rstrip('.'))}"
    yield ".SH SYNOPSIS\n.B vtdpi\n.I TARGET\n[OPTIONS] [COMMAND [OPTIONS]]"
    yield ".SH TARGETS"
    for name, summary in TARGETS.items():
        yield f".SS {name}\n{_roff(summary[:1].upper() + summary[1:])}."
        yield from _options(KINDS[name].options)
    yield ".SH COMMANDS"
    for name in commands.BUILT_IN:
        command = commands.load(name)
        yield f".SS {name}\n{_roff(command.help)}"
        yield from _options(command.arguments)
    yield ".SH OTHER FIRST WORDS"
    for name, (summary, _) in GROUPS.items():
        yield f".TP\n.B {name}\n{_roff(summary)}"
    yield ".SH EXIT STATUS"
    for status, words in STATUS:
        yield f".TP\n.B {status}\n{_roff(words)}"


def _options(declared: type) -> Iterator[str]:
    return map(_option, arguments_of(declared))


def _option(each: Argument) -> str:
    value = f" {each.metavar}" if each.takes_value else ""
    name = ", ".join(each.flags) + value if each.flags else each.metavar or each.name
    return f".TP\n.B {_roff(name)}\n{_roff(each.help)}"


def _roff(text: str) -> str:
    """Text as roff has it: no line of it is a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n"))


FRONT_END = front_end(NoArguments, run)
