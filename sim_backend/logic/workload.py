"""What happens of itself on a machine, how often, and who decides where several things can happen."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Annotated, Protocol

from msgspec import Meta

from sim_backend.logic.state import State
from sim_backend.memory.errors import SimError
from structs.frozen import frozen

OUT_OF = 1024
Rate = Annotated[int, Meta(ge=0, le=OUT_OF)]
_NOT_OUTSIDE = frozenset(("halt", "hypercall", "ipi", "post"))

U64 = (1 << 64) - 1
MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407
"""Of the generator that machines draw from: a linear congruential one of 64 bits, its upper bits used."""


@frozen
class Workload:
    """What happens of itself, each as a rate out of 1024.

    When a guest's turn comes: `halt`, `hypercall`, `ipi` (to another vCPU of its domain), else it computes. When an
    assigned device's turn comes: `post`. When the outside world's turn comes: `timer` (a time slice ends on some CPU),
    `event` (an event-channel upcall), `emulated` (an emulated device's interrupt, posted by software), `tasklet`,
    `migrate`, `pause` (a vCPU, or unpause), `hotplug` (a device is assigned or taken back), `offline` (a CPU goes or
    comes). All 0: nothing happens unless it is asked for.
    """

    halt: Rate = 0
    hypercall: Rate = 0
    ipi: Rate = 0
    post: Rate = 0
    timer: Rate = 0
    event: Rate = 0
    emulated: Rate = 0
    tasklet: Rate = 0
    migrate: Rate = 0
    pause: Rate = 0
    hotplug: Rate = 0
    offline: Rate = 0
    busy: bool = field(init=False, repr=False, default=False)
    outside: tuple[tuple[str, int], ...] = field(init=False, repr=False, default=())
    outside_total: int = field(init=False, repr=False, default=0)

    def __post_init__(self) -> None:
        rates = self.rates()
        for name, rate in rates.items():
            if not 0 <= rate <= OUT_OF:
                raise SimError(f"workload {name} = {rate}: a rate is 0 to {OUT_OF}")
        if self.halt + self.hypercall + self.ipi > OUT_OF:
            raise SimError(f"workload halt, hypercall and ipi add up to more than {OUT_OF}")
        outside = [(name, rate) for name, rate in rates.items() if rate and name not in _NOT_OUTSIDE]
        object.__setattr__(self, "outside_total", sum(rate for _, rate in outside))
        if self.outside_total > OUT_OF:
            raise SimError(f"workload {', '.join(name for name, _ in outside)} add up to more than {OUT_OF}")
        object.__setattr__(self, "busy", any(rates.values()))
        object.__setattr__(self, "outside", tuple(outside))

    def rates(self) -> dict[str, int]:
        """All rates by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}


class Chance(Protocol):
    """What decides."""

    def below(self, limit: int) -> int:
        """A number below `limit`."""

    def happens(self, rate: int) -> bool:
        """True `rate` times out of 1024."""


class Drawn:
    """A generator that is part of the state; while `choices` are given, these, and 0 when they are used up."""

    __slots__ = ("choices", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.choices: list[int] | None = None

    def below(self, limit: int) -> int:
        """A number below `limit`, of 32 random bits."""
        return self.bits() % limit

    def bits(self) -> int:
        """32 random bits."""
        if self.choices is not None:
            return self.choices.pop(0) if self.choices else 0
        state = self.state
        state.random = (state.random * MULTIPLIER + INCREMENT) & U64
        return state.random >> 32

    def happens(self, rate: int) -> bool:
        """True `rate` times out of 1024."""
        if not rate:
            return False
        state = self.state
        state.random = (state.random * MULTIPLIER + INCREMENT) & U64
        return (state.random >> 40) % OUT_OF < rate
