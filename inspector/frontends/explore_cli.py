"""The words of `vtdpi explore`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from inspector.explore import EVENTS


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Run every interleaving of a bounded scenario, and prove its properties or break them."
    parser.add_argument("scenario", nargs="?", help="a bundled scenario or a TOML file (default: the bug's, or h-a)")
    parser.add_argument("--list", action="store_true", help="what bugs, repairs, scenarios and properties there are")
    parser.add_argument(
        "--version",
        metavar="V",
        help="the logic of Xen 4.7 (seed), 4.20 (current) or 4.21 (default: the one that the bug is of, or current)",
    )
    parser.add_argument("--bug", action="append", default=[], metavar="NAME", help="with this bug; may be repeated")
    parser.add_argument("--repair", action="append", default=[], metavar="NAME", help="with this repair, likewise")
    parser.add_argument("--property", metavar="FILE", help="a Python file with properties of your own, which is run")
    parser.add_argument("--show", metavar="PROPERTY", help="whose history to show (default: the shortest)")
    parser.add_argument("--save", metavar="FILE", help="write that history, for `sim --replay` and --read")
    machine = parser.add_argument_group("bounds (default: the scenario's)")
    machine.add_argument("--cpus", type=int, metavar="N", help="CPUs")
    machine.add_argument("--vcpus", type=int, metavar="N", help="vCPUs of the first guest")
    for event in EVENTS:
        machine.add_argument(f"--{event}", type=int, metavar="N", help="so many at most; -1: any number")
    search = parser.add_argument_group("search")
    search.add_argument("--first", action="store_true", help="stop when a property is broken (the default with --bug)")
    search.add_argument("--all", action="store_true", help="go on until every state was visited")
    search.add_argument("--states", type=int, metavar="N", help="visit so many states at most")
    search.add_argument("--depth", type=int, metavar="N", help="histories of so many actions at most")
    search.add_argument("--memory", type=int, default=4096, metavar="MIB", help="take so much at most (default: 4096)")
    search.add_argument("--disk", metavar="DIR", help="keep the states in a file there, which memory caches")
    search.add_argument("--threads", type=int, default=1, metavar="N", help="work in so many threads")
    search.add_argument("--no-symmetry", action="store_true", help="tell identical vCPUs and CPUs apart")
    search.add_argument("--store-buffers", action="store_true", help="stores wait in their CPU's buffer, as on x86")
    many = parser.add_argument_group("many searches, of what is too large for one")
    many.add_argument("--swarm", type=int, metavar="N", help="make so many, each begun elsewhere or bounded otherwise")
    many.add_argument("--processes", type=int, metavar="N", help="work in so many (default: one each processor)")
    many.add_argument("--dask", metavar="ADDRESS", help="have a Dask cluster do it (tcp://HOST:PORT)")
    reading = parser.add_argument_group("reading a history")
    reading.add_argument("--read", metavar="FILE", help="explore nothing: show a history that was written before")
    reading.add_argument("--every-step", action="store_true", help="a row for each step, also where nothing is seen")
    reading.add_argument("--audit-steps", action="store_true", help="audit each step: when does a rule fire first")
    reading.add_argument("--html", metavar="FILE", help="write the history as a page")
    reading.add_argument(
        "--graph", metavar="FILE", help="write the states around the history, as a page to click through"
    )
    reading.add_argument("--perfetto", metavar="FILE", help="write the history for ui.perfetto.dev")
    reading.add_argument("--promela", metavar="FILE", help="write the model that was explored, for SPIN")
    parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")


def run(options: Namespace) -> int:
    """Do what the words say; the exit status. Raises VtdpiError if it cannot be done."""
    if options.read is not None:
        from inspector.explore.show import answer, show
        from inspector.targets.sim.simulation import read_history

        reading = show(
            read_history(options.read),
            sys.stdout,
            json=options.json,
            every_step=options.every_step,
            audit_steps=options.audit_steps,
            html=options.html,
            perfetto=options.perfetto,
        )
        return answer(reading).exit_status
    if options.swarm is not None:
        from inspector.frontends import swarm_cli

        return swarm_cli.run(options)
    from inspector.explore import exploring

    return exploring.listed(options) if options.list else exploring.explored(options)
