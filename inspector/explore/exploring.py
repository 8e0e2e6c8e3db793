"""An exploration from the command line: what is asked for, its progress, and what was found."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from inspector.answer import Answer, Block, Table, Text
from inspector.errors import UsageError
from inspector.explore import show
from inspector.explore.cli import EVENTS
from inspector.explore.steps import read as read_history
from inspector.views import json, text
from inspector.views.progress import Progress
from sim_backend.bugs import BUGS, REPAIRS, VARIANTS, Change, change, with_bugs
from sim_backend.errors import SimError
from sim_backend.explore import Exploration, Limits, explore
from sim_backend.explore.model import SOMETIMES
from sim_backend.explore.properties import PROPERTIES, WORDS, Asked, read
from sim_backend.explore.result import BROKEN, UNKNOWN, Verdict
from sim_backend.history import move_document
from sim_backend.scenario import Scenario, load
from sim_backend.versions import version

DEFAULT = "h-a"
MIB = 20
SITUATION = "situation "


def listed(options: Namespace) -> int:
    """Print what there is to explore."""
    kinds: Sequence[tuple[str, Mapping[str, Change]]] = (("bug", BUGS), ("repair", REPAIRS), ("variant", VARIANTS))
    changes = [(kind, name, change.title) for kind, table in kinds for name, change in table.items()]
    folder = files("sim_backend").joinpath("scenarios", "explore")
    names = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    scenarios = [(name, load(name).title) for name in names]
    blocks: list[Block] = [
        Table(("", "name", "what"), changes, "--bug, --repair"),
        Table(("scenario", "what happens"), scenarios),
        Table(("property", "kind", "what it says"), [(a.name, a.kind, WORDS[a.name]) for a in PROPERTIES]),
    ]
    document = {
        "changes": [{"kind": kind, "name": name, "title": title} for kind, name, title in changes],
        "scenarios": [{"name": name, "title": title} for name, title in scenarios],
        "properties": [{"name": each.name, "kind": each.kind, "words": WORDS[each.name]} for each in PROPERTIES],
    }
    _print(Answer(document, blocks), options)
    return 0


def explored(options: Namespace) -> int:
    """Explore, tell what was found, and show a history of what is broken.

    Returns:
        1 if a property is broken, else 0.

    Raises:
        UsageError: there is no such scenario, bug or property; a file cannot be written.
    """
    try:
        found = _explored(options)
    except SimError as error:
        raise UsageError(str(error)) from None
    if options.promela:
        _write_promela(found, options.promela)
    shown = _shown(found, options.show)
    _print(Answer(_document(found), _blocks(found, shown)), options)
    if shown is not None:
        history = found.history(shown)
        if options.save:
            try:
                history.write(options.save)
            except SimError as error:
                raise UsageError(str(error)) from None
        reading = read_history(history, options.audit_steps)
        show.write(reading, html=options.html, perfetto=options.perfetto)
        if not options.json:
            print()
            show.tell(reading, sys.stdout, every_step=options.every_step)
    elif options.save or options.html or options.perfetto:
        print("vtdpi: nothing is broken: there is no history to write", file=sys.stderr)
    return 1 if found.result.broken else 0


def _explored(options: Namespace) -> Exploration:
    changes = [*options.bug, *options.repair]
    chosen = with_bugs(version(options.version), changes)
    own = change(options.bug[0]).scenario if options.bug else DEFAULT
    scenario = _bounded(load(options.scenario or own), options)
    limits = Limits(
        states=options.states,
        depth=options.depth,
        memory=options.memory << MIB if options.memory else None,
        first=options.first or (bool(options.bug) and not options.all),
    )
    asked: tuple[Asked, ...] = PROPERTIES
    if options.property:
        asked += read(Path(options.property))
    if options.processes < 1:
        raise UsageError(f"--processes {options.processes}: expected 1 or more")
    progress = Progress()
    try:
        return explore(
            scenario,
            chosen,
            limits,
            asked,
            symmetry=not (options.no_symmetry or options.promela),
            tell=progress.tell if sys.stderr.isatty() else None,
            processes=options.processes,
            store_buffers=options.store_buffers,
        )
    finally:
        progress.clear()


def _write_promela(found: Exploration, path: str) -> None:
    from sim_backend.explore import promela

    try:
        promela.write(found.search, Path(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"--promela {path}: {error}") from None


def _bounded(scenario: Scenario, options: Namespace) -> Scenario:
    """The scenario with the numbers that were given in place of its own."""
    numbers = {name: getattr(options, name) for name in EVENTS if getattr(options, name) is not None}
    scenario = replace(scenario, bounds=scenario.bounds.but(**numbers))
    layout = scenario.layout
    if options.cpus is not None:
        layout = replace(layout, cpus=options.cpus)
    if options.vcpus is not None:
        first = next((number for number, domain in enumerate(layout.domains) if domain.hvm), None)
        if first is None:
            raise UsageError("--vcpus: the scenario has no guest")
        domains = list(layout.domains)
        domains[first] = replace(domains[first], vcpus=options.vcpus)
        layout = replace(layout, domains=tuple(domains))
    return replace(scenario, layout=layout)


def _shown(found: Exploration, wanted: str | None) -> Verdict | None:
    """The verdict whose history is to be shown: the one asked for, or that of the shortest."""
    with_history = [verdict for verdict in found.result.verdicts if verdict.moves is not None]
    if wanted is None:
        broken = [verdict for verdict in with_history if verdict.verdict == BROKEN]
        return min(broken, key=lambda verdict: len(verdict.moves or ()), default=None)
    for verdict in with_history:
        if verdict.name == wanted:
            return verdict
    names = ", ".join(repr(verdict.name) for verdict in with_history) or "no property"
    raise UsageError(f"--show {wanted!r}: no history leads there; there is one for {names}")


def _document(found: Exploration) -> dict[str, Any]:
    result = found.result
    return {
        "scenario": found.scenario.name,
        "version": found.version.name,
        "exhausted": result.exhausted,
        "stopped": result.stopped,
        "states": result.states,
        "transitions": result.transitions,
        "depth": result.depth,
        "seconds": result.seconds,
        "bytes_per_state": result.bytes_per_state,
        "properties": [
            {
                "name": verdict.name,
                "kind": verdict.kind,
                "verdict": verdict.verdict,
                "why": verdict.why,
                "moves": None if verdict.moves is None else list(map(move_document, verdict.moves)),
            }
            for verdict in result.verdicts
        ],
    }


def _blocks(found: Exploration, shown: Verdict | None) -> list[Block]:
    result, verdicts = found.result, found.result.verdicts
    title = f"{found.scenario.name}: {found.scenario.title} ({found.version.name})"
    how = "exhausted" if result.exhausted else f"NOT exhausted: {result.stopped}"
    rate = result.states / result.seconds if result.seconds else 0
    count = (
        f"{result.states:,} states, {result.transitions:,} actions, depth {result.depth}: {how}, "
        f"in {result.seconds:.1f} s ({rate:,.0f} states/s, {result.bytes_per_state:.0f} bytes a state)"
    )
    asked = [(v.kind, v.name, _verdict(v)) for v in verdicts if v.kind != SOMETIMES]
    occurs = [Text(f"{verdict}: {', '.join(names)}") for verdict, names in _occurring(verdicts).items()]
    blocks: list[Block] = [Text(title), Text(count), Table(("kind", "property", "in the model"), asked), *occurs]
    if shown is not None:
        why = f"; {shown.why}" if shown.why else ""
        blocks.append(
            Text(f"{shown.name}: {WORDS.get(shown.name, 'a property of your own')}. How it is {shown.verdict}{why}:")
        )
    return blocks


def _occurring(verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    """What has to happen some time, by whether it did; situations in one word."""
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.kind == SOMETIMES and verdict.verdict != UNKNOWN:
            found.setdefault(verdict.verdict, []).append(verdict.name)
    for names in found.values():
        situations = [name.removeprefix(SITUATION) for name in names if name.startswith(SITUATION)]
        names[:] = [name for name in names if not name.startswith(SITUATION)]
        if situations:
            names.append(f"situations {' '.join(situations)}")
    return found


def _verdict(verdict: Verdict) -> str:
    if verdict.moves is None:
        return verdict.verdict
    return f"{verdict.verdict}, after {len(verdict.moves)} steps"


def _print(answer: Answer, options: Namespace) -> None:
    view: Any = json if options.json else text
    view.show(answer, sys.stdout)
