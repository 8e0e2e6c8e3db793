"""What `vtdpi explore --swarm` does."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.base.errors import UsageError

if TYPE_CHECKING:
    from inspector.batch.swarm import Member, Swarm

STATES = 1_000_000
"""Of each search, unless it is said."""
ALONE = ("disk", "read", "promela", "html", "graph", "perfetto")


def run(options: Namespace) -> int:
    """Make the searches and tell what they found; the exit status: 1 if a property is broken.

    Raises:
        UsageError: what is asked for does not go together, or is not there.
    """
    from inspector.batch.swarm import members, swarm
    from inspector.batch.swarm_answer import answer
    from inspector.batch.workers import processors
    from inspector.views import json, text
    from inspector.views.progress import counting

    processes = processors() if options.processes is None else options.processes
    for name in ALONE:
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} stands beside --swarm: expected one or the other")
    if options.swarm < 1 or processes < 1:
        raise UsageError(f"--swarm {options.swarm} --processes {processes}: expected 1 or more of each")
    with counting():
        made = swarm(list(members(_first(options), options.swarm)), processes, options.dask)
    answered = answer(made)
    (json if options.json else text).show(answered, sys.stdout)
    if options.save:
        _save(made, options)
    for line in answered.problems:
        print(f"vtdpi: {line}", file=sys.stderr)
    return 130 if made.left else answered.exit_status


def _first(options: Namespace) -> Member:
    """The search of the scenario as it is."""
    from inspector.batch.swarm import Member
    from inspector.explore.exploring import DEFAULT, MIB, bounded
    from sim_backend.explore.search import Limits
    from sim_backend.memory.errors import SimError
    from sim_backend.scenario.bugs import base_of, change, version, with_bugs
    from sim_backend.scenario.scenario import load

    changes = (*options.repair, *options.bug)
    try:
        named = [change(name) for name in changes]
        word = options.scenario or (change(options.bug[0]).scenario if options.bug else DEFAULT)
        scenario = bounded(load(word), options)
        names = [each.name for each in named]
        logic = with_bugs(version(options.version or base_of(names)), names)
    except SimError as error:
        raise UsageError(str(error)) from None
    limits = Limits(options.states or STATES, options.depth, options.memory << MIB if options.memory else None)
    first = Member(0, scenario, logic, scenario.bounds, limits, properties=options.property)
    return replace(first, store_buffers=options.store_buffers)


def _save(made: Swarm, options: Namespace) -> None:
    """Write the shortest history of the property that `--show` names, or of any."""
    from inspector.base import new_file

    found = {name: verdicts[0][1] for name, verdicts in made.broken().items()}
    if options.show is not None and options.show not in found:
        raise UsageError(f"--show {options.show!r}: not broken here; broken are {', '.join(found) or 'none'}")
    shown = {options.show: found[options.show]} if options.show else found
    if not shown:
        print("vtdpi: nothing is broken: there is no history to write", file=sys.stderr)
        return
    new_file.write(options.save, made.history(min(shown.values(), key=lambda each: len(each.moves or ()))).text())
