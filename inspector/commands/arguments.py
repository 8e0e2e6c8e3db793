"""Words that several commands take."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from typing import TypeVar

from inspector.base.errors import UNREADABLE, NotHere, UsageError
from inspector.capture.inspection import Inspection
from inspector.targets.control import Control
from inspector.vtd.units import Unit

T = TypeVar("T")

BDF = re.compile(r"(?:[0-9a-f]{1,4}:)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])", re.IGNORECASE)


def number(word: str) -> int:
    """A number as C writes it: 24, 0x18."""
    try:
        value = int(word, 0)
    except ValueError:
        value = -1
    if value < 0:
        raise ArgumentTypeError(f"{word!r} is no number; expected one such as 24 or 0x18")
    return value


def bdf_argument(word: str) -> int:
    """A device `[segment:]bus:device.function` as a source-id; the segment is not part of it."""
    match = BDF.fullmatch(word)
    if not match or int(match[2], 16) > 31:
        raise ArgumentTypeError(f"{word!r} is no device; expected bus:device.function, such as 00:1f.0")
    bus, device, function = (int(part, 16) for part in match.groups())
    return bus << 8 | device << 3 | function


def add_unit(parser: ArgumentParser) -> None:
    """Declare `--unit`."""
    parser.add_argument("--unit", type=number, metavar="N", help="only this VT-d unit")


def choose(inspection: Inspection, options: Namespace) -> list[Unit]:
    """The units that `--unit` selects, all without it. Raises UsageError if there is no such unit."""
    chosen = [unit for unit in inspection.units if options.unit in (None, unit.index)]
    if not chosen:
        raise UsageError(f"no unit {options.unit}; there are {', '.join(str(unit.index) for unit in inspection.units)}")
    return chosen


def each_unit(
    inspection: Inspection, options: Namespace, read: Callable[[Unit], T], problems: list[str]
) -> Iterator[tuple[Unit, T]]:
    """What `read` reads of each unit that `--unit` selects; why it cannot is a line in `problems`."""
    for unit in choose(inspection, options):
        try:
            found = read(unit)
        except UNREADABLE as error:
            problems.append(str(error))
            continue
        yield unit, found


def control(inspection: Inspection) -> Control:
    """The target as one that can run. Raises NotHere if it cannot."""
    target: object = inspection.target
    if not isinstance(target, Control):
        raise NotHere(
            f"{inspection.target.description} does not run by itself: only a live machine is stopped and continued"
        )
    return target
