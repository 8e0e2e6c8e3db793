"""The words of `vtdpi sim`, `live` and `dump`: the target's options, then the command with its own; and that target."""

from __future__ import annotations

import os
from argparse import Action, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

from inspector.base.arguments import FILE, FileName, Word, add_arguments, given, json_flag, meant, option
from inspector.base.errors import UsageError
from inspector.base.parser import Parser
from inspector.commands import BUILT_IN, is_command
from inspector.shell.opening import Opening
from inspector.shell.script import CommandLine, ScriptFile
from inspector.targets.options import STDIN, DumpOptions, LiveOptions, Options, SimOptions
from inspector.targets.target import Target
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.ahead import Ahead


@frozen
class Kind:
    """A kind of target.

    Attributes:
        options: what a user says of it.
        is_target: whether a word that is no option names the target, if it is the first: else it is a command.
        is_more: whether a word after that one names more of it.
    """

    options: type[SimOptions] | type[LiveOptions] | type[DumpOptions]
    is_target: Callable[[str], bool]
    is_more: Callable[[str], bool] = lambda word: False


def _is_file(word: str) -> bool:
    return not is_command(word) and os.path.isfile(word)


KINDS: Mapping[str, Kind] = {
    "sim": Kind(SimOptions, lambda word: False),
    "live": Kind(LiveOptions, lambda word: bool(set(word) & set(":/"))),
    "dump": Kind(DumpOptions, lambda word: True, _is_file),
}


@frozen
class Asking:
    """How any target is asked.

    Attributes:
        json: whether every answer is JSON.
        batch: the lines of `-c` and `--script`, in order.
        junit: where a JUnit XML report about the batch goes.
    """

    json: bool = json_flag()
    batch: tuple[Annotated[CommandLine | ScriptFile, Word("LINE", CommandLine)], ...] = option(
        "run this command line; may be repeated", (), flags=["-c"]
    )
    script: tuple[Annotated[ScriptFile, Word("FILE", ScriptFile, kind=FILE)], ...] = option(
        "run the command lines of a file", (), into="batch"
    )
    junit: FileName | None = option("write how the lines of -c and --script went, as JUnit XML")


@frozen
class Asked:
    """What a command line asks of a target.

    Attributes:
        kind: `sim`, `live` or `dump`.
        target: which one.
        words: the command and its options; none for the prompt or a batch.
        batch, json, junit: as Asking.
    """

    kind: str
    target: Options
    words: Sequence[str]
    batch: Sequence[CommandLine | ScriptFile]
    json: bool
    junit: str | None = None


def parse(kind: str, words: Sequence[str], description: str = "") -> Asked:
    """What the words after the kind of target ask for.

    Raises:
        UsageError: the target's options do not take them. The command's are not looked at.
        SystemExit: `--help` was asked for and printed.
    """
    parser, actions = _parser(kind, description)
    at = _command_at(words, actions, KINDS[kind])
    options = parser.parse_args(words[:at])
    asking = given(Asking, options)
    return Asked(kind, given(KINDS[kind].options, options), words[at:], asking.batch, asking.json, asking.junit)


def _parser(kind: str, description: str) -> tuple[Parser, list[Action]]:
    listed = "\n".join(f"  {name:9} {summary}" for name, summary in BUILT_IN.items())
    parser = Parser(
        f"vtdpi {kind}",
        description=description,
        epilog=f"{EPILOG}\n{listed}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    return parser, add_arguments(parser, KINDS[kind].options) + add_arguments(parser, Asking)


def opener(words: Sequence[str]) -> Opening:
    """The target that the words of `open` name: `sim idle`, `dump FILE`, `log FILE`, `live HOST:PORT --qmp SOCK`.

    Raises:
        UsageError: they name none, or ask for more than a target.
        SystemExit: `--help` was asked for and printed.
    """
    first, *rest = words or ("",)
    kind = "dump" if first == "log" else first
    if kind not in KINDS:
        raise UsageError(_no_kind(words))
    asked = parse(kind, rest)
    options, more = asked.target, list(asked.words)
    if isinstance(options, SimOptions) and more and options.scenario is None:
        options = replace(options, scenario=more.pop(0))
    if more:
        raise UsageError(
            f"open {first}: {more[0]!r} names no target; a command has a line of its own, or stands after `;`"
        )
    if asked.batch or asked.junit or (isinstance(options, SimOptions) and options.is_more):
        raise UsageError(f"open {first}: expected the options of a target, and no others")
    if isinstance(options, DumpOptions) and options.file == STDIN:
        raise UsageError("open: standard input is where lines come from; expected a file")
    return opening(kind, options)


def _no_kind(words: Sequence[str]) -> str:
    if words and os.path.exists(words[0]):
        return f"open what? `open dump {words[0]}` opens a dump, a snapshot or a log"
    return "open what? `open sim SCENARIO`, `open live HOST:PORT`, `open dump FILE` or `open log FILE`"


EPILOG = "Then a COMMAND with its options, or none for a prompt:"


def _command_at(words: Sequence[str], actions: Sequence[Action], kind: Kind) -> int:
    """Where the command's own words begin: at the first word that is no option, no option's value and no target."""
    takes_value = {flag: action.nargs != 0 for action in actions for flag in action.option_strings}
    named = is_value = in_target = False
    for at, word in enumerate(words):
        if in_target and kind.is_more(word):
            continue
        in_target = False
        if is_value:
            is_value = False
        elif word.startswith("-") and word != "-":
            # An option may bring its value with it (`--scenario=idle`).
            is_value = "=" not in word and any(takes_value[flag] for flag in meant(word, takes_value))
        elif not named and kind.is_target(word):
            named = in_target = True
        else:
            return at
    return len(words)


def opening(kind: str, options: Options) -> Opening:
    """How a target is opened, as a session has it."""
    address = options.address if isinstance(options, LiveOptions) else ""
    return Opening(
        partial(open_target, options),
        name=address or os.path.basename(getattr(options, "file", kind)),
        prefix=f"vtdpi {kind} ... ",
        symbols=getattr(options, "symbols", None),
        profile=getattr(options, "profile", None),
        look_ahead=partial(look_ahead, options),
        place=address,
    )


def look_ahead(options: object, symbols: str | None, profile: str | None) -> Ahead | None:
    """A look at a live machine that can be read while it runs, before it is opened, which stops it."""
    if not (isinstance(options, LiveOptions) and options.qmp):
        return None
    from inspector.capture.ahead import look_ahead

    return look_ahead(options.qmp, symbols, profile)


def open_target(options: Options) -> Target:
    """Attach to, or open, what the options name. Raises TargetError."""
    if isinstance(options, SimOptions):
        from inspector.targets.sim.simulation import simulated

        return simulated(options)
    if isinstance(options, LiveOptions) and options.address.startswith("bochs:"):
        from inspector.lab.labs import find_hvm
        from inspector.targets.live.bochs import Bochs

        return Bochs(find_hvm(options.address.removeprefix("bochs:")).machine())
    if isinstance(options, LiveOptions):
        from inspector.targets.live.gdb_mi import GdbMi

        return GdbMi(options.address, gdb=options.gdb, qmp=options.qmp)
    from inspector.targets.open_file import open_file

    return open_file(options.file, options.boot, options.hole, options.more)
