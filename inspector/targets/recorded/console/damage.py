"""Lines that are not as Xen printed them: mended where that is certain, told where it is not."""

from __future__ import annotations

import re

from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

INSERTED = re.compile(r"\[ *\d+\.\d{6}\] |\bsystemd\[\d+\]: ")
"""Where another's text begins within a line of Xen's: Linux's console timestamp, systemd's name."""

CUT_OFF = "cut off by the end of the file"
SHOWN = 100


@frozen
class Damage:
    """A line that is not as Xen printed it, and what came of it: `left out`, or what else was done."""

    line: int
    text: str
    done: str = "left out"

    def __str__(self) -> str:
        return f"line {self.line} is damaged, and {self.done}: {self.text[:SHOWN]!r}"


def match(pattern: re.Pattern[str], line: Line, damaged: list[Damage]) -> re.Match[str] | None:
    """The line as a whole row of `pattern`, mended if it was cut and its rest is found; what was wrong is told."""
    if found := pattern.fullmatch(line.text):
        return found
    inserted = INSERTED.search(line.text)
    kept = line.text[: inserted.start()] if inserted else line.text
    if line.after and (found := pattern.fullmatch(kept + line.after)):
        damaged.append(Damage(line.number, line.text, f"put together with the next line ({found[0].strip()!r})"))
        return found
    damaged.append(left_out(line))
    return None


def left_out(line: Line) -> Damage:
    """A line of which nothing can be made: damaged, or not whole because the file ends in it."""
    return Damage(line.number, line.text, "left out" if line.ended else CUT_OFF)
