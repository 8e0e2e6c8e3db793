"""The command line: `vtdpi TARGET [OPTIONS] COMMAND [OPTIONS]`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

from inspector import __version__
from inspector.base import streams
from inspector.base.errors import UsageError, VtdpiError
from inspector.commands import is_command, names
from inspector.frontends.entry import INTERRUPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inspector.base.parser import Parser
    from inspector.frontends.front_end import FrontEnd
    from inspector.frontends.target_words import Asked
    from inspector.shell.opening import Opening
    from inspector.targets.target import Target

DESCRIPTION = "Show, explain and check the interrupt-remapping and posted-interrupt state of a Xen hypervisor."
COMMANDS_HELP = "commands:\n{commands}\n\n`vtdpi TARGET COMMAND --help` tells each one's options."


TARGETS: Mapping[str, str] = {
    "sim": "the built-in simulated machine (what `vtdpi` alone opens)",
    "live": "a Xen running under QEMU, through gdb, or in Bochs",
    "dump": "a memory dump, a saved snapshot or a console log",
}

GROUPS: Mapping[str, tuple[str, str]] = {
    "lab": ("start and stop a real Xen under a real QEMU", "inspector.frontends.lab_cli"),
    "explore": ("every interleaving of the simulated machine's steps", "inspector.frontends.explore_cli"),
    "coverage": ("hold a trace of a real Xen against the simulated one's logic", "inspector.frontends.coverage_cli"),
    "survey": ("look at many dumps and logs, and group what is wrong", "inspector.frontends.survey_cli"),
    "profile": ("make, list and show profiles of Xen builds", "inspector.frontends.profile_cli"),
    "learn": ("posted interrupts in ten short lessons, at the prompt", "inspector.frontends.learn_cli"),
    "help": ("the commands, or what one does", "inspector.frontends.help_cli"),
    "explain": ("what a rule, situation, hazard, mended bug or field means", "inspector.frontends.explain_cli"),
    "schema": ("print the JSON Schema of a command's answers", "inspector.frontends.schema_cli"),
    "completion": ("print what bash, zsh or fish completes", "inspector.frontends.completion_cli"),
    "man": ("print the manual page", "inspector.frontends.man_cli"),
    "config": ("print the default configuration of the prompt", "inspector.frontends.config_cli"),
    "gdb-plugin": ("print the path of the plugin for gdb to `source`", "inspector.frontends.gdb_plugin_cli"),
}
"""What else the first word may be: what for, and the module whose FRONT_END says what it takes and does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit status (0 fine, 2 usage, 3 unreadable target, 130 interrupted)."""
    words = list(sys.argv[1:] if argv is None else argv) or ["sim"]
    try:
        return streams.finish(_run(words))
    except BrokenPipeError:
        return streams.finish(0)
    except (VtdpiError, KeyboardInterrupt, OSError) as error:
        return _failed(error, words)


def _failed(error: BaseException, words: Sequence[str]) -> int:
    """Tell why there is no answer; the exit status."""
    from inspector.frontends import failure

    if isinstance(error, VtdpiError):
        return failure.tell(error, words)
    if isinstance(error, OSError):
        return streams.unwritten(error) if error.filename is None else failure.tell_end(str(error), 3, words)
    return failure.tell_end(INTERRUPTED, 130, words)


def _run(argv: Sequence[str]) -> int:
    first, *rest = argv
    if first in TARGETS:
        from inspector.frontends.target_words import parse

        return _target(parse(first, rest, f"Open {TARGETS[first]}."))
    if first in GROUPS:
        return _group(first, rest)
    if first == "--version":
        print(f"vtdpi {__version__}")
        return 0
    if is_command(first):
        line = " ".join(argv)
        raise UsageError(
            f"{first}: of which target? `vtdpi sim {line}` asks the built-in machine, `vtdpi live HOST:PORT {line}` "
            f"a Xen under QEMU, `vtdpi dump FILE {line}` a memory dump, a snapshot or a log"
        )
    if not first.startswith("-"):
        from difflib import get_close_matches

        near = get_close_matches(first, [*TARGETS, *GROUPS, *names()], n=1)
        advice = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{advice}{first!r} is no target; expected {', '.join(TARGETS)}, or see `vtdpi --help`")
    _parser().parse_args(argv)
    raise UsageError("expected a TARGET")


def _target(asked: Asked) -> int:
    from inspector.targets.options import SimOptions

    if isinstance(asked.target, SimOptions) and asked.target.serve:
        from inspector.targets.sim.simulation import serve

        return serve(asked.target)
    if isinstance(asked.target, SimOptions) and asked.target.scenarios:
        from inspector.explore.scenarios import tell

        return tell(asked.json)
    if isinstance(asked.target, SimOptions) and asked.target.campaign is not None:
        from inspector.frontends.campaign_cli import run

        return run(asked)
    if asked.words and asked.batch:
        raise UsageError(f"{asked.words[0]!r} stands beside -c or --script; expected one or the other")
    if asked.junit and not asked.batch:
        raise UsageError("--junit tells how the lines of -c or --script went: expected one of these too")
    if asked.words and asked.words[0] == "help":
        return _help(asked)
    return _session(asked)


def _help(asked: Asked) -> int:
    """As at the prompt; the target is not opened for it."""
    from inspector.commands.command import Example
    from inspector.shell import help
    from inspector.shell.session import Answered

    words = [word for word in asked.words[1:] if word != "--json"]
    json = asked.json or "--json" in asked.words
    answered = Answered(help.answer(words, example=Example.of_shell), json)
    answered.show(sys.stdout)
    return answered.status


def _session(asked: Asked) -> int:
    from inspector.frontends.target_words import opener, opening
    from inspector.shell.session import Session

    with Session(
        _shown(opening(asked.kind, asked.target)), json=asked.json, opener=lambda words: _shown(opener(words))
    ) as session:
        if asked.batch:
            from inspector.shell import script

            return script.run(session, asked.batch, asked.junit)
        if not asked.words:
            from inspector.repl.start import start

            return start(session)
        try:
            answered = session.ask(asked.words)
            answered.show(sys.stdout)
        except VtdpiError as error:
            session.show_error(error, asked.words, sys.stdout)
            raise
        answered.tell(sys.stderr)
        return answered.status


def _shown(opening: Opening) -> Opening:
    """The same, but a person at a terminal sees how far it is."""

    def open_target() -> Target:
        with _progress_shown():
            return opening.target()

    return replace(opening, target=open_target)


@contextmanager
def _progress_shown() -> Iterator[None]:
    """While this lasts, a person at a terminal sees how far long work is."""
    if not sys.stderr.isatty():
        yield
        return
    from inspector.base import progress
    from inspector.views.progress import WorkBar

    bar = WorkBar()
    progress.listen(bar)
    try:
        yield
    finally:
        progress.listen(None)
        bar.clear()


def _group(name: str, words: Sequence[str]) -> int:
    summary, home = GROUPS[name]
    chosen: FrontEnd = import_module(home).FRONT_END
    return chosen.main(f"vtdpi {name}", words, f"{summary[:1].upper()}{summary[1:]}.")


def _parser() -> Parser:
    """The parser of the first word."""
    from argparse import RawDescriptionHelpFormatter

    from inspector.base.parser import Parser
    from inspector.commands import BUILT_IN

    names = "\n".join(f"  {name:8} {summary}" for name, summary in BUILT_IN.items())
    parser = Parser(
        "vtdpi",
        description=DESCRIPTION,
        epilog=COMMANDS_HELP.format(commands=names),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print vtdpi's version")
    first = parser.add_subparsers(metavar="TARGET", required=True)
    for name, summary in {**TARGETS, **{name: summary for name, (summary, module) in GROUPS.items()}}.items():
        first.add_parser(name, help=summary)
    return parser


if __name__ == "__main__":
    from inspector.frontends import entry

    sys.exit(entry.main())
