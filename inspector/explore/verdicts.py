"""What an exploration found, as an answer to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from inspector.base.errors import UsageError
from inspector.model.answer import Answer, AnyAnswer, Block, Table, Text
from inspector.model.schema_name import schema_name
from sim_backend.explore import Exploration
from sim_backend.explore.model import SOMETIMES
from sim_backend.explore.properties import WORDS
from sim_backend.explore.result import BROKEN, UNKNOWN, Verdict
from sim_backend.machine.history import move_document
from sim_backend.scenario.change import Bug, Change
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model.documents import Explore, HistoryMove

SCHEMA = schema_name("explore")
SITUATION = "situation "


@frozen
class Found:
    """An exploration, and the same one without the bugs that it was for, if there were any.

    Attributes:
        changes: what was asked for by name: bugs, repairs, variants.
        hidden_by: the repairs that are in both, so that it is the bugs that break something.
    """

    exploration: Exploration
    without: Exploration | None = None
    changes: tuple[Change, ...] = ()
    hidden_by: tuple[str, ...] = ()

    @property
    def bugs(self) -> str:
        """The bugs' names."""
        return ", ".join(change.name for change in self.changes if isinstance(change, Bug))

    @property
    def broken_without(self) -> frozenset[str]:
        """The properties that are broken without the bugs too."""
        return frozenset(verdict.name for verdict in self.without.result.broken) if self.without else frozenset()


def shown(found: Found, wanted: str | None) -> Verdict | None:
    """The verdict whose history is to be shown: the one asked for, or the shortest that breaks a property.

    What is broken without the bugs too comes last.

    Raises:
        UsageError: no history leads to what was asked for.
    """
    with_history = [verdict for verdict in found.exploration.result.verdicts if verdict.moves is not None]
    if wanted is None:
        broken = [verdict for verdict in with_history if verdict.verdict == BROKEN]
        also = found.broken_without
        return min(broken, key=lambda verdict: (verdict.name in also, len(verdict.moves or ())), default=None)
    for verdict in with_history:
        if verdict.name == wanted:
            return verdict
    names = ", ".join(repr(verdict.name) for verdict in with_history) or "no property"
    raise UsageError(f"--show {wanted!r}: no history leads there; there is one for {names}")


def answer(found: Found, history_of: Verdict | None) -> AnyAnswer:
    """All of it; a history itself is shown apart."""
    return Answer(_document(found), _blocks(found, history_of)).named(SCHEMA)


def _document(found: Found) -> Explore:
    explored, result = found.exploration, found.exploration.result
    without = _verdicts_without(found)
    return {
        "scenario": explored.scenario.name,
        "version": explored.version.name,
        "exhausted": result.exhausted,
        "stop_reason": result.stopped,
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
                "without": without.get(verdict.name),
                "why": verdict.why,
                "moves": None
                if verdict.moves is None
                else [cast("HistoryMove", move_document(move)) for move in verdict.moves],
            }
            for verdict in result.verdicts
        ],
    }


def _verdicts_without(found: Found) -> dict[str, str]:
    """What becomes of the properties without the bugs."""
    return {verdict.name: verdict.verdict for verdict in found.without.result.verdicts} if found.without else {}


def _blocks(found: Found, shown: Verdict | None) -> list[Block]:
    explored, result, verdicts = found.exploration, found.exploration.result, found.exploration.result.verdicts
    title = f"{explored.scenario.name}: {explored.scenario.title} ({explored.version.name})"
    how = "exhausted" if result.exhausted else f"NOT exhausted: {result.stopped}"
    rate = result.states / result.seconds if result.seconds else 0
    count = (
        f"{result.states:,} states, {result.transitions:,} actions, depth {result.depth}: {how}, "
        f"in {result.seconds:.1f} s ({rate:,.0f} states/s, {result.bytes_per_state:.0f} bytes a state)"
    )
    asked = [v for v in verdicts if v.kind != SOMETIMES]
    occurs = [Text(f"{verdict}: {', '.join(names)}") for verdict, names in _occurring(verdicts).items()]
    described = [Text(_described(change)) for change in found.changes]
    blocks: list[Block] = [Text(title), *described, Text(count), *_compared(found), _table(found, asked), *occurs]
    if shown is not None:
        why = f"; {shown.why}" if shown.why else ""
        blocks.append(
            Text(f"{shown.name}: {WORDS.get(shown.name, 'a property of your own')}. How it is {shown.verdict}{why}:")
        )
    return blocks


def _described(change: Change) -> str:
    mended = f" Mended by {change.fixed_in}." if isinstance(change, Bug) and change.fixed_in else ""
    return f"{change.name}: {change.title}. {change.what}{mended}"


def _compared(found: Found) -> list[Block]:
    if not found.without:
        return []
    result = found.without.result
    how = "exhausted" if result.exhausted else f"NOT exhausted: {result.stopped}"
    words = f"Without {found.bugs}: {result.states:,} states, {how}."
    if found.hidden_by:
        words += f" With {', '.join(found.hidden_by)} both times: else the same is broken without {found.bugs} too."
    return [Text(words)]


def _table(found: Found, asked: Sequence[Verdict]) -> Table:
    rows = [(v.kind, v.name, _verdict(v)) for v in asked]
    if not found.without:
        return Table(("kind", "property", "in the model"), rows)
    without = _verdicts_without(found)
    compared = [(*row, without[row[1]]) for row in rows]
    return Table(("kind", "property", f"with {found.bugs}", "without"), compared)


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
