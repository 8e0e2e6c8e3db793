"""Where a simulated machine stops on its way: at a function of Xen, or as soon as something is so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sim_backend.logic.program import BY_NUMBER

if TYPE_CHECKING:
    from sim_backend.machine.boot import AnyMachine


def functions() -> frozenset[str]:
    """The functions that the simulated logic has."""
    return frozenset(procedure.name for procedure in BY_NUMBER)


class Break:
    """One place to stop.

    Attributes:
        hits: how often the machine stopped there.
        held: whether it was so when it was last looked at.
        missing: if what it is about was not there then, what was there instead.

    Args:
        words: what it is, as it was typed.
        holds: whether the machine, as it stands, is so; it is given this break, to say what is missing. None for a
            function that is entered, which `words` names.
    """

    def __init__(self, words: str, holds: Callable[[Break], bool] | None = None) -> None:
        self.words = words
        self.hits = 0
        self.held = False
        self.missing = ""
        self._holds = holds

    @property
    def is_function(self) -> bool:
        """Whether it is a function."""
        return self._holds is None

    def begin(self) -> None:
        """The machine is about to move."""
        self.held = self._holds is not None and self._holds(self)

    def reached(self, machine: AnyMachine) -> bool:
        """Whether the step that it has just done came there: entered the function, or made so what was not so."""
        if self._holds is None:
            there = machine.entered is not None and machine.entered[1] == self.words
        else:
            before, self.held = self.held, self._holds(self)
            there = self.held and not before
        self.hits += there
        return there


class Breaks:
    """All places to stop, by their numbers, which are not given twice."""

    def __init__(self) -> None:
        self._breaks: dict[int, Break] = {}
        self._last = 0

    def __iter__(self) -> Iterator[tuple[int, Break]]:
        return iter(self._breaks.items())

    def __len__(self) -> int:
        return len(self._breaks)

    def add(self, new: Break) -> int:
        """Add one; its number."""
        self._last += 1
        self._breaks[self._last] = new
        return self._last

    def delete(self, number: int) -> None:
        """Take one away. Raises KeyError if there is none of that number."""
        del self._breaks[number]

    def clear(self) -> None:
        """Take all away."""
        self._breaks.clear()
