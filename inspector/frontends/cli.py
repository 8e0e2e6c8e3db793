"""The command line: `vtdpi TARGET [OPTIONS] COMMAND [OPTIONS]`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inspector.base import streams
from inspector.base.errors import UsageError, VtdpiError
from inspector.frontends.entry import INTERRUPTED

if TYPE_CHECKING:
    from inspector.targets.target import Target

TAKE_VALUE = frozenset(
    (
        "--symbols",
        "--profile",
        "--qmp",
        "--gdb",
        "-c",
        "--script",
        "--scenario",
        "--seed",
        "--version",
        "--load",
        "--steps",
        "--serve",
        "--replay",
        "--at",
        "--boot",
    )
)
COMMANDS_HELP = "commands:\n{commands}\n\n`vtdpi TARGET COMMAND --help` tells each one's options."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit status (0 fine, 2 usage, 3 unreadable target, 130 interrupted)."""
    try:
        return streams.finish(_run(list(sys.argv[1:] if argv is None else argv) or ["sim"]))
    except VtdpiError as error:
        return streams.complain(str(error), error.exit_status)
    except KeyboardInterrupt:
        return streams.complain(INTERRUPTED, 130)
    except BrokenPipeError:
        return streams.finish(0)
    except OSError as error:
        return streams.unwritten(error) if error.filename is None else streams.complain(str(error), 3)


def _run(argv: list[str]) -> int:
    parser = _parser()
    words, command_words = _split(argv)
    options = parser.parse_args(words)
    if options.group == "lab":
        from inspector.frontends import lab_cli as lab

        return lab.run(options)
    if options.group == "config":
        from inspector.repl import config

        print(config.default(), end="")
        return 0
    if options.group == "gdb-plugin":
        from inspector.gdb_plugin import install

        return install.run(options)
    if options.group == "explore":
        from inspector.frontends import explore_cli as explore

        return explore.run(options)
    if options.group == "profile":
        from inspector.frontends import profile_cli

        return profile_cli.run(options)
    if options.group == "sim" and options.serve:
        from inspector.targets.sim.simulation import serve

        return serve(options)
    if command_words and options.batch:
        raise UsageError(f"{command_words[0]!r} stands beside -c or --script; expected one or the other")
    return _session(options, command_words)


def _session(options: Namespace, words: list[str]) -> int:
    from inspector.shell.session import Session

    def open_target() -> Target:
        from inspector.targets.open_target import open_target

        with _progress_shown():
            return open_target(options)

    with Session(
        open_target,
        name=options.address if options.group == "live" else os.path.basename(getattr(options, "file", "sim")),
        prefix=f"vtdpi {options.group} ... ",
        symbols=options.symbols,
        profile=options.profile,
        json=options.json,
    ) as session:
        if options.batch:
            from inspector.shell import script

            return script.run(session, options.batch)
        if not words:
            from inspector.repl.start import start

            return start(session)
        answered = session.ask(words)
    answered.show(sys.stdout)
    answered.tell(sys.stderr)
    return answered.status


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


def _parser() -> ArgumentParser:
    from inspector.commands import COMMANDS
    from inspector.shell.script import CommandLine, ScriptFile

    names = "\n".join(f"  {name:8} {summary}" for name, summary in COMMANDS.items())
    parser = ArgumentParser(
        "vtdpi",
        description="Show, explain and check the interrupt-remapping and posted-interrupt state of a Xen hypervisor.",
        epilog=COMMANDS_HELP.format(commands=names),
        formatter_class=RawDescriptionHelpFormatter,
    )
    groups = parser.add_subparsers(dest="group", metavar="TARGET", required=True)

    sim = groups.add_parser("sim", help="the built-in simulated machine: COMMAND (what `vtdpi` alone opens)")
    sim.add_argument("--scenario", metavar="F", help="a bundled scenario or a TOML file (default: one-device)")
    sim.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the order in which things happen (default: 0)"
    )
    sim.add_argument("--version", default="current", metavar="V", help="the logic of Xen 4.7 (seed) or 4.20 (current)")
    sim.add_argument(
        "--profile", dest="build", metavar="P", help="which Xen's layout: a bundled version or build-id, or a file"
    )
    sim.add_argument("--load", metavar="FILE", help="go on with a saved machine")
    sim.add_argument("--steps", type=int, default=0, metavar="N", help="let it take N steps first")
    sim.add_argument("--replay", metavar="FILE", help="the machine at the end of a history that `explore` wrote")
    sim.add_argument("--at", type=int, metavar="STEP", help="with --replay: at that step of it")
    sim.add_argument(
        "--serve", metavar="ADDRESS", help="serve gdb's remote protocol there (127.0.0.1:PORT) until Ctrl-C"
    )
    sim.set_defaults(symbols=None, profile=None)
    live = groups.add_parser("live", help="a Xen running under QEMU, through gdb: [HOST:PORT] COMMAND")
    live.add_argument(
        "address", nargs="?", metavar="HOST:PORT", default="127.0.0.1:1234", help="QEMU's -gdb (default: its -s)"
    )
    live.add_argument("--qmp", metavar="SOCK", help="QEMU's -qmp unix socket: faster bulk reads")
    live.add_argument("--gdb", default="gdb", help="the gdb to run (default: gdb)")
    dump = groups.add_parser("dump", help="a memory dump: FILE COMMAND (ELF core, kdump, raw image)")
    dump.add_argument("file", metavar="FILE", help="also a console log, compressed or in a tar archive; - is stdin")
    dump.add_argument("--boot", type=int, metavar="N", help="of a log that holds several boots, from 1 (default: last)")
    for target in (live, dump):
        target.add_argument("--symbols", metavar="XEN_SYMS", help="the xen-syms of this Xen (default: by build-id)")
        target.add_argument("--profile", metavar="P", help="a profile: a file, a version, or the start of a build-id")
    for target in (sim, live, dump):
        target.add_argument("--json", action="store_true", help="one JSON document and nothing else")
        batch: dict[str, Any] = {"dest": "batch", "action": "append"}
        target.add_argument(
            "-c", metavar="LINE", type=CommandLine, help="run this command line; may be repeated", **batch
        )
        target.add_argument(
            "--script", metavar="FILE", type=ScriptFile, help="run the command lines of a file", **batch
        )

    from inspector.frontends.explore_cli import add_arguments as explore_arguments
    from inspector.frontends.lab_cli import add_arguments as lab_arguments
    from inspector.frontends.profile_cli import add_arguments as profile_arguments
    from inspector.gdb_plugin.install import add_arguments as plugin_arguments

    lab_arguments(groups.add_parser("lab", help="start and stop a real Xen under a real QEMU"))
    explore_arguments(groups.add_parser("explore", help="every interleaving of the simulated machine's steps"))
    groups.add_parser("config", help="print the default configuration of the prompt, with what each setting means")
    plugin_arguments(groups.add_parser("gdb-plugin", help="print the path of the plugin for gdb to `source`"))
    profile_arguments(groups.add_parser("profile", help="make, list and show profiles of Xen builds"))
    return parser


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The words for the target, and the command's own: those from the command's name on.

    A `live` target's first bare word is an address if it has a colon, a `dump` target's is always the file.
    """
    if not argv:
        return ["sim"], []
    if argv[0] not in ("sim", "live", "dump"):
        return argv, []
    named = argv[0] != "dump"
    takes_value = False
    for index, word in enumerate(argv[1:], 1):
        if takes_value:
            takes_value = False
        elif word.startswith("-") and word != "-":
            takes_value = word in TAKE_VALUE
        elif not named or (argv[0] == "live" and ":" in word):
            named = True
        else:
            return argv[:index], argv[index:]
    return argv, []


if __name__ == "__main__":
    from inspector.frontends import entry

    sys.exit(entry.main())
