"""What commands about VT-d units have in common."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.base.errors import NotHere, UsageError
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import VtdUnit
from inspector.vtd.remapping import Entries, entries_of


def choose(snapshot: Snapshot, unit: int | None) -> tuple[VtdUnit, ...]:
    """The unit of that number; all of them if it is None.

    Raises:
        NotHere: no unit is known at all.
        UsageError: there is no such unit.
    """
    if not snapshot.units:
        reason = why(snapshot, "units", "")
        raise NotHere(f"{snapshot.target} tells of no VT-d unit{reason and ': '}{reason}")
    chosen = tuple(each for each in snapshot.units if unit in (None, each.index))
    if not chosen:
        raise UsageError(f"no unit {unit}; there are {', '.join(str(each.index) for each in snapshot.units)}")
    return chosen


def tables(snapshot: Snapshot, unit: int | None, problems: list[str]) -> Iterator[tuple[VtdUnit, Entries]]:
    """The chosen units with their remapping tables; why one has none is a line in `problems`. Raises as `choose`."""
    for each in choose(snapshot, unit):
        if each.raw or each.gaps or (each.base is not None and not each.is_absent("raw")):
            yield each, entries_of(each)
        else:
            problems.append(why_of_unit(snapshot, each, "raw"))


def why(snapshot: Snapshot, member: str, otherwise: str) -> str:
    """Why a part of the machine is not there, in words."""
    return next((absence.why for absence in snapshot.absent if absence.member == member), otherwise)


def why_of_unit(snapshot: Snapshot, unit: VtdUnit, member: str) -> str:
    """Why a part of a unit is not there, in words."""
    told = next((str(absence) for absence in unit.absent if absence.member == member), None)
    return told or f"{snapshot.target} tells of no {WORDS[member]} of {unit.name}"


WORDS = {"registers": "registers", "raw": "interrupt-remapping table", "queue": "invalidation queue"}
