"""Where several things can happen: who decides which."""

from __future__ import annotations

from typing import Protocol

from sim_backend.logic.state import State
from sim_backend.logic.workload import OUT_OF

U64 = (1 << 64) - 1
MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407
"""Of the generator that machines draw from: a linear congruential one of 64 bits, its upper bits used."""


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
