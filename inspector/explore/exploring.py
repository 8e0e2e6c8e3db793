"""An exploration from the command line: what is asked for, its progress, and what was found."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from inspector.base import new_file
from inspector.base.errors import UsageError
from inspector.explore import show, verdicts
from inspector.explore.options import BoundOptions, ExploreOptions
from inspector.explore.scenarios import to_explore
from inspector.explore.steps import read as read_history
from inspector.explore.verdicts import Found
from inspector.model.answer import Answer, AnyAnswer, Block, Table
from inspector.model.schema_name import schema_name
from inspector.targets.sim.refusals import refusals
from inspector.views import json, text
from inspector.views.progress import Progress
from sim_backend.explore import Exploration, Limits, explore, properties_of
from sim_backend.explore.properties import PROPERTIES, read
from sim_backend.scenario.bugs import BUGS, REPAIRS, VARIANTS, base_of, change, version, with_bugs
from sim_backend.scenario.change import Bug, Change
from sim_backend.scenario.kvm_bugs import KVM_BUGS, KVM_VARIANTS
from sim_backend.scenario.scenario import BUNDLED, Scenario, load

if TYPE_CHECKING:
    from inspector.model.documents import ChangeOfLogic, ExploreList

Kind = Literal["bug", "repair", "variant"]
LIST_SCHEMA = schema_name("explore-list")
DEFAULT = "h-a"
BARE = re.compile(r"[\w-]+")
"""A name that is no file's."""
STOPPED = 4
"""The exit status of a search that found nothing broken, but did not visit all states: nothing is proved."""


def listed(options: ExploreOptions) -> int:
    """Print what there is to explore."""
    kinds: Sequence[tuple[Kind, Mapping[str, Change]]] = (
        *(("bug", BUGS), ("repair", REPAIRS), ("variant", VARIANTS)),
        *(("bug", KVM_BUGS), ("variant", KVM_VARIANTS)),
    )
    changes = [(kind, each) for kind, table in kinds for each in table.values()]
    scenarios = [(name, load(name).title) for name in to_explore()]
    blocks: list[Block] = [
        Table(("", "name", "what"), [(kind, each.name, each.title) for kind, each in changes], "--bug, --repair"),
        Table(("scenario", "what happens"), scenarios),
        Table(("property", "kind", "what it says"), [(a.name, a.kind, a.words) for a in PROPERTIES]),
    ]
    document: ExploreList = {
        "changes": [_change_document(kind, each) for kind, each in changes],
        "scenarios": [{"name": name, "title": title} for name, title in scenarios],
        "properties": [{"name": each.name, "kind": each.kind, "words": each.words} for each in PROPERTIES],
    }
    _print(Answer(document, blocks).named(LIST_SCHEMA), options)
    return 0


def _change_document(kind: Kind, change: Change) -> ChangeOfLogic:
    return {
        "kind": kind,
        "name": change.name,
        "title": change.title,
        "what": change.what,
        "mended": change.fixed_in if isinstance(change, Bug) else None,
        "scenario": change.scenario,
    }


def explored(options: ExploreOptions) -> int:
    """Explore, tell what was found, and show a history of what is broken.

    Returns:
        1 if a property is broken, else 0.

    Raises:
        UsageError: there is no such scenario, bug or property; a file cannot be written.
        TargetError: the scenario's or the properties' file cannot be used.
    """
    wanted = options.reading
    if wanted.graph:
        from inspector.explore.graph_page import page, require_bokeh

        require_bokeh()
    with refusals():
        found = _found(options)
    if wanted.promela:
        _write_promela(found.exploration, wanted.promela)
    shown = verdicts.shown(found, options.show)
    _print(verdicts.answer(found, shown), options)
    if shown is not None:
        history = found.exploration.history(shown)
        if options.save:
            new_file.write(options.save, history.text())
        reading = read_history(history, wanted.audit_steps)
        show.write(reading, html=wanted.html, perfetto=wanted.perfetto)
        if wanted.graph:
            new_file.write(wanted.graph, page(found.exploration, shown))
        if not options.json:
            print()
            show.tell(reading, sys.stdout, every_step=wanted.every_step)
    elif options.save or wanted.html or wanted.graph or wanted.perfetto:
        print("vtdpi: nothing is broken: there is no history to write", file=sys.stderr)
    result = found.exploration.result
    return 1 if result.broken else 0 if result.exhausted else STOPPED


def _found(options: ExploreOptions) -> Found:
    """What exploring finds; of bugs in their own scenario, also what it finds there without them."""
    search = options.search
    named = [change(name) for name in options.bug]
    changes = (*map(change, options.repair), *named)
    bugs = [each for each in changes if isinstance(each, Bug)]
    scenario = options.scenario if options.scenario is not None else named[0].scenario if named else DEFAULT
    limits = Limits(
        states=search.states,
        depth=search.depth,
        memory=search.memory_bytes,
        first=search.first or (bool(named) and not search.all),
    )
    if not bugs or options.scenario is not None:
        return Found(_explored(options, scenario, limits, [each.name for each in changes]), changes=changes)
    hidden_by = () if options.repair else dict.fromkeys(name for bug in bugs for name in bug.hidden_by)
    both = [*hidden_by, *(each.name for each in changes if each not in bugs)]
    options = replace(options, version=options.version or base_of(options.bug))
    without = _explored(options, scenario, replace(limits, first=search.first), both)
    known = frozenset(verdict.name for verdict in without.result.broken)
    found = _explored(options, scenario, replace(limits, known=known), [*both, *(bug.name for bug in bugs)])
    return Found(found, without, changes, tuple(hidden_by))


def _scenario(name: str) -> Scenario:
    """Raises UsageError if there is none, and SimError if its file is wrong."""
    known = (*to_explore(), *BUNDLED)
    if BARE.fullmatch(name) and name not in known and not Path(name).exists():
        near = get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else None
        raise UsageError(
            f"{f'{advice} ' if advice else ''}{name!r} is neither a file nor a scenario; `vtdpi explore --list` tells "
            f"those to explore: {', '.join(to_explore())}",
            expected=known,
            found=name,
            advice=advice,
        )
    return load(name)


def _explored(options: ExploreOptions, name: str, limits: Limits, changes: Sequence[str]) -> Exploration:
    search = options.search
    scenario = bounded(_scenario(name), options.bounds)
    logic = with_bugs(version(options.version or base_of(changes)), changes)
    asked = properties_of(logic)
    if options.property:
        asked += read(Path(options.property))
    if search.threads < 1:
        raise UsageError(f"--threads {search.threads}: expected 1 or more")
    progress = Progress()
    try:
        # Other numbers are words, and not the file's fault.
        with refusals(name if options.bounds == BoundOptions() else None):
            found = explore(
                scenario,
                logic,
                limits,
                asked,
                symmetry=not (search.no_symmetry or options.reading.promela),
                tell=progress.tell if sys.stderr.isatty() else None,
                threads=search.threads,
                store_buffers=search.store_buffers,
                folder=Path(search.disk) if search.disk else None,
            )
    except OSError as error:
        raise UsageError(f"--disk {search.disk}: {error.strerror}") from None
    finally:
        progress.clear()
    if found.search.compiler.missing:
        print("vtdpi: `pip install 'vtdpi[fast]'` compiles large searches: quicker, in less memory", file=sys.stderr)
    return found


def _write_promela(found: Exploration, path: str) -> None:
    from sim_backend.explore import promela

    place = Path(path)
    try:
        tables, model = promela.tables(found.search), promela.model(found.search, promela.tables_of(place).name)
    except ValueError as error:
        raise UsageError(f"--promela {path}: {error}") from None
    # The model includes the tables: it comes last.
    new_file.write(promela.tables_of(place), tables)
    new_file.write(place, model)


def bounded(scenario: Scenario, options: BoundOptions) -> Scenario:
    """The scenario with the numbers that were given in place of its own."""
    numbers = {name: most for name, most in options.events().items() if most is not None}
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


def _print(answer: AnyAnswer, options: ExploreOptions) -> None:
    view: Any = json if options.json else text
    view.show(answer, sys.stdout)
