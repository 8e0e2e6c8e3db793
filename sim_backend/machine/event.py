"""What one step of a machine did, as data and as a line."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.logic.scheduler import STATES


@dataclass(frozen=True, slots=True)
class Event:
    """One step: who did what, and what it changed. `before` and `after` are None if it changed nothing of interest."""

    number: int
    actor: str
    function: str
    action: str
    subject: str | None = None
    field: str | None = None
    before: int | None = None
    after: int | None = None

    def __str__(self) -> str:
        line = f"{self.actor}: {self.function}: {self.action}"
        if self.field is None or self.before is None or self.after is None:
            return line
        before, after = _value(self.field, self.before), _value(self.field, self.after)
        return f"{line} | {self.subject} {self.field} {before} -> {after}"


def _value(field: str, value: int) -> str:
    if field == "runstate":
        return STATES.get(value, str(value))
    if value < 0:
        return "none"
    return str(value) if value < 10 or "CPU" in field else f"{value:#x}"
