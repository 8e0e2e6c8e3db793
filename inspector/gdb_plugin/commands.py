"""The commands of gdb's: `vtdpi`, and one below it for each command of vtdpi's."""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Any

import gdb  # type: ignore[import-untyped]

from inspector import commands
from inspector.base.arguments import wants_json
from inspector.base.errors import UsageError, VtdpiError
from inspector.base.foreign_text import visible
from inspector.commands import BUILT_IN
from inspector.commands.command import Example, parse
from inspector.gdb_plugin import packages
from inspector.gdb_plugin.attached import attached
from inspector.views.terminal import Screen

STATUS = "vtdpi_status"

PREFIX_HELP = """\
The interrupt-remapping and posted-interrupt state of the Xen that gdb is attached to.

It reads, and never writes or resumes. It works on QEMU (`target remote`), on the simulated machine
(`vtdpi sim --serve`) and on a dump (`core-file`). `vtdpi COMMAND --help` tells a command's options; `--json` prints
one JSON document; `pipe vtdpi irt | grep posted` filters. $vtdpi_status is 0, 1 if the audit found a bug, 2 if the
words were wrong, 3 if something could not be read."""


def define() -> None:
    """Define the commands."""
    _named(_Prefix, PREFIX_HELP)("vtdpi", gdb.COMMAND_DATA, prefix=True)
    for name, summary in BUILT_IN.items():
        _named(_Command, f"{_capital(summary)}.\n\n`vtdpi {name} --help` tells its options, with examples.")(name)


def run(words: list[str]) -> None:
    """Run one command and print its answer. Raises gdb.GdbError, which gdb shows in one line."""
    _status(3)
    try:
        text, notes, status, json = _answer(words)
    except VtdpiError as error:
        _status(error.exit_status)
        _show_error(error, words)
        raise gdb.GdbError(f"vtdpi: {visible(str(error))}") from None
    except gdb.error as error:
        raise gdb.GdbError(f"vtdpi: gdb says: {visible(str(error))}") from None
    except ImportError as error:
        package, _, _ = (error.name or "").partition(".")
        raise gdb.GdbError(f"vtdpi: {packages.unfit(package)}") from None
    except KeyboardInterrupt:
        _status(130)
        raise gdb.GdbError("vtdpi: interrupted; the target is as it was found") from None
    _status(status)
    # It may end at gdb's pager, with `q`.
    with suppress(KeyboardInterrupt):
        gdb.write(text)
        if json and sys.__stderr__:
            # `pipe` and `to_string` take both of gdb's streams, and JSON is to be one document and nothing else.
            sys.__stderr__.write(notes)
            sys.__stderr__.flush()
        else:
            gdb.write(notes, gdb.STDERR)


def _show_error(error: VtdpiError, words: list[str]) -> None:
    """Print a document too, if JSON is asked for and none is printed yet."""
    if wants_json(words) and not error.shown:
        from inspector.views import json

        out = io.StringIO()
        json.show_error(error, out)
        gdb.write(out.getvalue())


def _answer(words: list[str]) -> tuple[str, str, int, bool]:
    out, err = io.StringIO(), io.StringIO()
    packages.need()
    if "|" in words or ">" in words:
        at = next(at for at, word in enumerate(words) if word in ("|", ">"))
        ours, theirs = " ".join(words[:at]), " ".join(words[at + 1 :])
        theirs = theirs if words[at] == "|" else f"cat > {theirs}"
        raise UsageError(f"gdb itself pipes: `pipe vtdpi {ours} | {theirs}`")
    if "-h" in words[1:] or "--help" in words[1:]:
        return commands.load(words[0]).parser("vtdpi ", in_gdb).format_help(), "", 0, False
    if instead := parse(words, "vtdpi ").command.instead_in_gdb:
        raise UsageError(instead)
    with attached() as now:
        now.refresh()
        try:
            answered = now.session.ask(words)
        except VtdpiError as error:
            now.session.show_error(error, words, out)
            gdb.write(out.getvalue())
            raise
    answered.show(out, _screen())
    answered.tell(err)
    return out.getvalue(), err.getvalue(), answered.status, answered.json


def _screen() -> Screen:
    """gdb's own: `set width`; without a limit where its output goes to a pipe or a string."""
    return Screen(gdb.parameter("width"))


class _Prefix(gdb.Command):  # type: ignore[misc]
    def invoke(self, argument: str, from_tty: bool) -> None:
        self.dont_repeat()
        words = gdb.string_to_argv(argument)
        if words:
            run(words)
        else:
            gdb.execute("help vtdpi")


class _Command(gdb.Command):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        super().__init__(f"vtdpi {name}", gdb.COMMAND_DATA)
        self._name = name

    def invoke(self, argument: str, from_tty: bool) -> None:
        self.dont_repeat()
        run([self._name, *gdb.string_to_argv(argument)])

    def complete(self, text: str, word: str | None) -> Any:
        try:
            from inspector.gdb_plugin.completion import complete

            return complete(self._name, text, word)
        except (VtdpiError, ImportError, gdb.error, KeyboardInterrupt):
            return []


def _named(kind: type, doc: str) -> Any:
    """The class with this help: gdb takes it from the class."""
    return type(kind.__name__, (kind,), {"__doc__": doc})


def in_gdb(example: Example) -> str:
    """An example as one types it in gdb."""
    return example.of_session("vtdpi ")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _status(status: int) -> None:
    gdb.set_convenience_variable(STATUS, status)
