"""How far a search is: one line on the terminal, written over."""

from __future__ import annotations

import sys
from typing import Protocol


class Stage(Protocol):
    """How many states there are, how deep it is, how many are left there, and since when."""

    states: int
    depth: int
    queue: int
    seconds: float


class Progress:
    """The line, on stderr."""

    def __init__(self) -> None:
        self._told = False

    def tell(self, stage: Stage) -> None:
        """Say how far it is."""
        rate = stage.states / stage.seconds
        line = f"{stage.states:,} states, {rate:,.0f}/s, depth {stage.depth}, {stage.queue:,} of it to go"
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        self._told = True

    def clear(self) -> None:
        """Take the line away."""
        if self._told:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
