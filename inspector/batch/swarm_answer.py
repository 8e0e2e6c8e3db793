"""A swarm as an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inspector.batch.swarm import Member, MemberResult, Swarm, is_whole
from inspector.model.answer import Answer, AnyAnswer, Block, Table, Text
from inspector.model.schema_name import schema_name
from sim_backend.explore import LOOKED_FOR
from sim_backend.machine.history import move_document

COLUMNS = ("SEARCH", "BEGINS", "BOUNDS", "STATES", "DEPTH", "ENDED", "BROKEN")


def answer(made: Swarm) -> AnyAnswer:
    """A row for each search, then what is broken, and what all of them visited together."""
    states, unseen = made.states, [name for name in LOOKED_FOR if name not in made.seen]
    document: dict[str, Any] = {
        "schema": schema_name("swarm"),
        "scenario": made.scenario.name,
        "version": made.version.name,
        "exhausted": made.exhausted,
        "states": states.count,
        "states_error": states.error,
        "searches": [_document(*each) for each in made.results.values()],
        "broken": [
            {"name": name, "searches": [number for number, _ in found], "moves": _moves(found[0][1].moves or ())}
            for name, found in made.broken().items()
        ],
        "seen": sorted(set(LOOKED_FOR) & made.seen),
        "not_seen": unseen,
        "failed": [{"search": number, "why": why} for number, why in made.failures.items()],
        "left_count": made.left,
    }
    problems = [f"search {number}: {why}" for number, why in made.failures.items()]
    return Answer(document, list(_blocks(made, unseen)), problems, bug=bool(made.broken()))


def _document(member: Member, result: MemberResult) -> dict[str, Any]:
    return {
        "search": member.number,
        "walked": result.walked,
        "bounds": _bounds(member),
        "states": result.states,
        "depth": result.depth,
        "exhausted": result.exhausted,
        "stop_reason": result.stopped,
        "seconds": result.seconds,
        "broken_properties": _broken(result),
    }


def _moves(moves: tuple[Any, ...]) -> list[dict[str, Any]]:
    return list(map(move_document, moves))


def _bounds(member: Member) -> dict[str, int]:
    whole = member.scenario.bounds.numbers()
    return {name: number for name, number in member.bounds.numbers().items() if whole[name]}


def _broken(result: MemberResult) -> list[str]:
    return [verdict.name for verdict in result.verdicts if verdict.verdict == "broken"]


def _blocks(made: Swarm, unseen: list[str]) -> Iterator[Block]:
    title = f"{made.scenario.name}: {made.scenario.title} ({made.version.name})"
    yield Table(COLUMNS, [_row(*each) for each in made.results.values()], title, frozenset(("STATES", "DEPTH")))
    broken = made.broken()
    if broken:
        rows = [
            (name, str(len(found)), f"search {found[0][0]}, {len(found[0][1].moves or ())} moves")
            for name, found in broken.items()
        ]
        yield Table(("PROPERTY", "BROKEN IN", "SHORTEST HISTORY"), rows, numeric=frozenset(("BROKEN IN",)))
    yield Text(_verdict(made, bool(broken)))
    if unseen:
        yield Text(f"Not seen: {', '.join(unseen)}")


def _row(member: Member, result: MemberResult) -> tuple[str, ...]:
    bounds = "all" if member.bounds == member.scenario.bounds else _words(_bounds(member))
    return (
        str(member.number),
        f"after {result.walked} random actions" if member.walk else "at the beginning",
        bounds,
        f"{result.states:,}",
        str(result.depth),
        "exhausted" if result.exhausted else result.stopped or "",
        ", ".join(_broken(result)) or "nothing",
    )


def _words(bounds: dict[str, int]) -> str:
    return " ".join(f"{name}={'any' if number < 0 else number}" for name, number in bounds.items())


def _verdict(made: Swarm, broken: bool) -> str:
    states = made.states
    about = f"{states.count:,} different states" if states.exact else f"about {states.count:,} different states"
    about += "" if states.exact else f" (standard error {states.error:.1%})"
    visited = sum(result.states for _, result in made.results.values())
    words = f"{len(made.results)} searches visited {visited:,} states, {about}."
    if made.left:
        words += f" {made.left} searches left, for it was ended before."
    if made.exhausted:
        whole = next(m.number for m, r in made.results.values() if r.exhausted and is_whole(m))
        return f"{words} Search {whole} exhausted the scenario: what is not broken holds."
    rest = "The other properties are" if broken else "Nothing is broken there; it is"
    return f"{words} The scenario is NOT exhausted. {rest} not proved."
