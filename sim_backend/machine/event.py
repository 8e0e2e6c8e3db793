"""What one step of a machine did, as data and as a line."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.logic.context import BUFFERED, LAPIC_IRR_BIT, PIR_WORD, VIRR_WORD
from sim_backend.logic.program import ActorId, ActorKind
from sim_backend.logic.scheduler import STATES

_WIDTHS = {PIR_WORD: 64, VIRR_WORD: 32}
"""The fields that hold a bit for each vector, and how many."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step: who did what, and what it changed.

    Attributes:
        number: of the step.
        actor: who, as it is named; who: the same as data.
        function, action: of which procedure, and what it does there, in words; an order, and its arguments.
        step: the name of the procedure's step; None for what is none.
        subject, field: what it changed, in words; None if it changed nothing of interest.
        changed: which field that is, whatever number is in its words (`sim_backend.logic.context.LAPIC_IRR_BIT`).
        before, after: the value.
        stuck: whether it was not done, for the machine cannot go on.
    """

    number: int
    actor: str
    function: str
    action: str
    subject: str | None = None
    field: str | None = None
    before: int | None = None
    after: int | None = None
    who: ActorId | None = None
    step: str | None = None
    changed: str | None = None
    stuck: bool = False

    def document(self) -> dict[str, str | int | None]:
        """It for JSON."""
        return {
            "step": self.number,
            "actor": self.actor,
            "cpu": self.cpu,
            "function": self.function,
            "step_name": self.step,
            "action": self.action,
            "subject": self.subject,
            "field": self.field,
            "before": self.before,
            "after": self.after,
        }

    @property
    def cpu(self) -> int | None:
        """The CPU that did it; None if it was no CPU."""
        return self.who.number if self.who is not None and self.who.kind is ActorKind.CPU else None

    @property
    def of_cpu(self) -> int | None:
        """The CPU that did it, or whose store buffer; None if it was neither."""
        of_cpu = self.who is not None and self.who.kind in (ActorKind.CPU, ActorKind.STORE_BUFFER)
        return self.who.number if self.who is not None and of_cpu else None

    @property
    def ordered(self) -> bool:
        """Whether it is an order, given from outside."""
        return self.who is not None and self.who.kind is ActorKind.ENVIRONMENT

    @property
    def sends(self) -> bool:
        """Whether an interrupt was sent to a CPU or taken there, or a store buffer let go of a store."""
        return self.changed in (LAPIC_IRR_BIT, BUFFERED)

    def __str__(self) -> str:
        line = f"{self.actor}: {self.function}: {self.action}"
        if self.field is None or self.before is None or self.after is None:
            return line
        value = _vectors if self.changed in _WIDTHS else _value
        before, after = value(self.field, self.before), value(self.field, self.after)
        return f"{line} | {self.subject} {self.field} {before} -> {after}"


def _value(field: str, value: int) -> str:
    if field == "runstate":
        return STATES.get(value, str(value))
    if value < 0:
        return "none"
    return str(value) if value < 10 or "CPU" in field else f"{value:#x}"


def _vectors(field: str, value: int) -> str:
    """The bits of a word of vectors, `pir[1]`, as these vectors: so can they be typed."""
    name, _, number = field.rstrip("]").partition("[")
    width = _WIDTHS[f"{name}[{{}}]"]
    first = width * int(number)
    return " ".join(f"{first + bit:#x}" for bit in range(width) if value >> bit & 1) or "none"
