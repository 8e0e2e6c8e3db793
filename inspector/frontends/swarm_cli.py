"""What `vtdpi explore --swarm` does."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.base import streams
from inspector.base.errors import UsageError

if TYPE_CHECKING:
    from inspector.batch.swarm import Member, Swarm
    from inspector.explore.options import ExploreOptions

STATES = 1_000_000
"""Of each search, unless it is said."""


def run(options: ExploreOptions) -> int:
    """Make the searches and tell what they found; the exit status: 1 if a property is broken.

    Raises:
        UsageError: what is asked for does not go together, or is not there.
        TargetError: a file cannot be used.
    """
    from inspector.batch.swarm import members, swarm
    from inspector.batch.swarm_answer import answer
    from inspector.batch.workers import processors
    from inspector.views import json, text
    from inspector.views.progress import counting

    many = options.many
    number, processes = many.swarm or 0, processors() if many.processes is None else many.processes
    _refuse(options)
    if number < 1 or processes < 1:
        raise UsageError(f"--swarm {number} --processes {processes}: expected 1 or more of each")
    with counting():
        made = swarm(list(members(_first(options), number)), processes, many.dask)
    answered = answer(made)
    (json if options.json else text).show(answered, sys.stdout)
    if options.save:
        _save(made, options.show, options.save)
    streams.tell(answered.problems)
    return 130 if made.left else answered.exit_status


def _refuse(options: ExploreOptions) -> None:
    """What one search writes is not written of many."""
    alone = {"disk": options.search.disk, "promela": options.reading.promela, "html": options.reading.html}
    alone |= {"graph": options.reading.graph, "perfetto": options.reading.perfetto}
    for name, value in alone.items():
        if value is not None:
            raise UsageError(f"--{name} stands beside --swarm: expected one or the other")


def _first(options: ExploreOptions) -> Member:
    """The search of the scenario as it is."""
    from inspector.batch.swarm import Member
    from inspector.explore.exploring import DEFAULT, bounded
    from inspector.targets.sim.refusals import refusals
    from sim_backend.explore.search import Limits
    from sim_backend.scenario.bugs import base_of, change, version, with_bugs
    from sim_backend.scenario.scenario import load

    changes = (*options.repair, *options.bug)
    with refusals():
        named = [change(name) for name in changes]
        word = options.scenario
        if word is None:
            word = change(options.bug[0]).scenario if options.bug else DEFAULT
        scenario = bounded(load(word), options.bounds)
        names = [each.name for each in named]
        logic = with_bugs(version(options.version or base_of(names)), names)
    limits = Limits(options.search.states or STATES, options.search.depth, options.search.memory_bytes)
    first = Member(0, scenario, logic, scenario.bounds, limits, properties=options.property)
    return replace(first, store_buffers=options.search.store_buffers)


def _save(made: Swarm, name: str | None, path: str) -> None:
    """Write the shortest history of the property of that name, or of any."""
    from inspector.base import new_file

    found = {broken: verdicts[0][1] for broken, verdicts in made.broken().items()}
    if name is not None and name not in found:
        raise UsageError(f"--show {name!r}: not broken here; broken are {', '.join(found) or 'none'}")
    shown = {name: found[name]} if name else found
    if not shown:
        print("vtdpi: nothing is broken: there is no history to write", file=sys.stderr)
        return
    new_file.write(path, made.history(min(shown.values(), key=lambda each: len(each.moves or ()))).text())
