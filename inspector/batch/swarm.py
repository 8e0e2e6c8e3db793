"""A swarm: searches of a scenario that is too large to exhaust, each begun elsewhere or bounded otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import reduce
from pathlib import Path
from random import Random
from typing import Any

from inspector.base import progress
from inspector.batch.workers import Failure, Workers
from inspector.targets.sim.refusals import refusals
from sim_backend.explore import chained, properties_of, seen_sometimes
from sim_backend.explore.bounded import LEFT, BoundedMachine
from sim_backend.explore.model import Key, Value
from sim_backend.explore.properties import read
from sim_backend.explore.result import BROKEN, Verdict
from sim_backend.explore.search import Limits, Search
from sim_backend.explore.sketch import NO_STATES, Sketch, sketch
from sim_backend.explore.walk import walk
from sim_backend.logic.versions import AnyVersion
from sim_backend.logic.workload import Workload
from sim_backend.machine.history import History, started
from sim_backend.scenario.bounds import UNBOUNDED, Bounds
from sim_backend.scenario.scenario import Scenario
from structs.frozen import frozen

LONGEST = 64
"""Actions of a walk at most."""
FEW = 3
"""Events at most, drawn where there is no bound."""


@frozen
class Member:
    """One search of a swarm. The first one is that of the scenario as it is.

    Attributes:
        scenario: the whole; `bounds` are those of this search.
        walk: so many random actions are done before it begins.
        seed: of that walk.
        properties: a file with properties of the user's own.
    """

    number: int
    scenario: Scenario
    version: AnyVersion
    bounds: Bounds
    limits: Limits
    walk: int = 0
    seed: int = 0
    store_buffers: bool = False
    properties: str | None = None


@frozen
class MemberResult:
    """What a search found. `exhausted`: it visited all states that can be reached from where it began, in its bounds.

    `moves` of its verdicts go from the scenario's beginning on; in a search that began elsewhere they need not be the
    shortest.
    """

    walked: int
    exhausted: bool
    stopped: str | None
    states: int
    depth: int
    seconds: float
    verdicts: tuple[Verdict, ...]
    seen: frozenset[str]
    sketch: Sketch


@frozen
class Swarm:
    """What the searches found together.

    Attributes:
        results: by search, in the order of their numbers.
        failures: why a search has no result.
        left: how many were not done, for it was ended before.
    """

    scenario: Scenario
    version: AnyVersion
    store_buffers: bool
    results: Mapping[int, tuple[Member, MemberResult]]
    failures: Mapping[int, str] = field(default_factory=dict)
    left: int = 0

    @property
    def exhausted(self) -> bool:
        """Whether the search of the scenario as it is visited all of its states."""
        return any(each.exhausted and is_whole(member) for member, each in self.results.values())

    @property
    def states(self) -> Sketch:
        """The states that were visited by any."""
        return reduce(Sketch.union, (each.sketch for _, each in self.results.values()), NO_STATES)

    @property
    def seen(self) -> frozenset[str]:
        """What was seen to happen, of what is looked for."""
        return frozenset[str]().union(*(each.seen for _, each in self.results.values()))

    def broken(self) -> dict[str, list[tuple[int, Verdict]]]:
        """The properties that are broken, each with the searches that found it, the shortest history first."""
        found: dict[str, list[tuple[int, Verdict]]] = {}
        for number, (_, each) in self.results.items():
            for verdict in each.verdicts:
                if verdict.verdict == BROKEN:
                    found.setdefault(verdict.name, []).append((number, verdict))
        for verdicts in found.values():
            verdicts.sort(key=lambda pair: len(pair[1].moves or ()))
        return found

    def history(self, verdict: Verdict) -> History:
        """The history of a verdict, to be written, replayed and shown."""
        moves = verdict.moves or ()
        return History(self.scenario, self.version, moves, verdict.name, verdict.why, self.store_buffers)


def is_whole(member: Member) -> bool:
    """Whether a search is that of the scenario as it is."""
    return not member.walk and member.bounds == member.scenario.bounds


def members(first: Member, count: int) -> Iterator[Member]:
    """So many searches: the first one; then in turn one with fewer events, and one that begins after a random walk."""
    yield first
    for number in range(1, count):
        chance = Random(number)
        if number % 2:
            yield replace(first, number=number, bounds=_fewer(first.bounds, chance))
        else:
            yield replace(first, number=number, walk=chance.randint(1, LONGEST), seed=number)


def _fewer(bounds: Bounds, chance: Random) -> Bounds:
    numbers = {name: number for name, number in bounds.numbers().items() if number}
    if not numbers:
        return bounds
    drawn = {
        name: chance.randint(0, FEW) if number == UNBOUNDED else chance.randint(0, number)
        for name, number in numbers.items()
    }
    if not any(drawn.values()):
        drawn[chance.choice(sorted(numbers))] = 1
    if drawn == numbers:
        largest = max(sorted(numbers), key=lambda name: numbers[name])
        drawn[largest] -= 1
    return bounds.but(**drawn)


def explored(member: Member) -> MemberResult:
    """Make one search.

    Raises:
        UsageError, TargetError: there is no such machine, or no such properties.
    """
    began = time.monotonic()
    asked = properties_of(member.version)
    with refusals(member.scenario.name):
        machine = started(replace(member.scenario, workload=Workload()), member.version, member.store_buffers)
    if member.properties:
        with refusals():
            asked += read(Path(member.properties))
    bounded = BoundedMachine(machine, member.bounds)
    whole = BoundedMachine(machine, member.scenario.bounds)
    walked = walk(bounded.model(asked), member.walk, member.seed)
    search = Search(walked.model, member.limits, symmetry=False)
    result = search.run()
    verdicts = tuple(
        replace(verdict, moves=tuple(chained((*walked.notes, *verdict.moves))))
        for verdict in result.verdicts
        if verdict.name and verdict.moves is not None
    )
    moved = {*walked.values, *((LEFT, name) for name in member.bounds.numbers())}
    states = sketch(search, whole.first, moved, _in_whole(member))
    return MemberResult(
        len(walked.notes),
        *(result.exhausted, result.stopped, result.states, result.depth, round(time.monotonic() - began, 3)),
        verdicts,
        frozenset(seen_sometimes(bounded)),
        states,
    )


def _in_whole(member: Member) -> Callable[[Key, Value], Value]:
    """What is left of smaller bounds, as the whole scenario counts it: it is the same history there."""
    more = {
        (LEFT, name): None if number == UNBOUNDED else number - member.bounds.numbers()[name]
        for name, number in member.scenario.bounds.numbers().items()
    }

    def named(key: Any, value: Any) -> Any:
        if key not in more:
            return value
        added = more[key]
        return UNBOUNDED if added is None else value + added

    return named


def swarm(asked: Sequence[Member], processes: int, dask: str | None = None) -> Swarm:
    """Make searches, as many at once as there are processes or workers. Ctrl-C ends it; what is done is told.

    Raises:
        UsageError: as `Workers.results`; none of the searches could be made.
        TargetError: as `Workers.results`.
    """
    results: dict[int, tuple[Member, MemberResult]] = {}
    failures: dict[int, Failure] = {}
    try:
        for member, result in Workers(explored, processes, dask).results(asked):
            if isinstance(result, Failure):
                failures[member.number] = result
            else:
                results[member.number] = member, result
            progress.tell("searches", len(results) + len(failures), len(asked))
    except KeyboardInterrupt:
        pass
    if failures and not results:
        raise next(iter(failures.values())).error()
    first = asked[0]
    left = len(asked) - len(results) - len(failures)
    whys = {number: failure.why for number, failure in failures.items()}
    return Swarm(first.scenario, first.version, first.store_buffers, dict(sorted(results.items())), whys, left)
