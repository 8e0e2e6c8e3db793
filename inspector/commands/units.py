"""What commands about VT-d units have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from inspector.base.errors import UNREADABLE, UsageError
from inspector.capture.inspection import Inspection
from inspector.vtd.units import Unit

T = TypeVar("T")


def choose(inspection: Inspection, unit: int | None) -> list[Unit]:
    """The unit of that number; all of them if it is None. Raises UsageError if there is no such unit."""
    chosen = [each for each in inspection.units if unit in (None, each.index)]
    if not chosen:
        raise UsageError(f"no unit {unit}; there are {', '.join(str(each.index) for each in inspection.units)}")
    return chosen


def each_unit(
    inspection: Inspection, unit: int | None, read: Callable[[Unit], T], problems: list[str]
) -> Iterator[tuple[Unit, T]]:
    """What `read` reads of each chosen unit; why it cannot is a line in `problems`."""
    for each in choose(inspection, unit):
        try:
            found = read(each)
        except UNREADABLE as error:
            problems.append(str(error))
            continue
        yield each, found
