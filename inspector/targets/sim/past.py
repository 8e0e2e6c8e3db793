"""What a simulated machine was before: copies of it, from which `undo` and `goto` go on."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from structs.frozen import frozen

if TYPE_CHECKING:
    from sim_backend.machine.boot import AnyMachine

MOST = 100
"""Copies that are kept: each has some 200 KB of its own."""


@frozen
class Kept:
    """A copy of the machine.

    Attributes:
        machine: the copy; while it is kept, nobody moves it.
        words: the command before which it was made; empty if it was made within one, so that it can be gone to.
        jump: whether that command goes back, so that what is after it does not follow from the copy.
        left: of a replay, the step at which it had left its history.
    """

    machine: AnyMachine
    words: str = ""
    jump: bool = False
    left: int | None = None


class Past:
    """The copies, oldest first; of too many the oldest go.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = MOST) -> None:
        self._kept: deque[Kept] = deque(maxlen=most)

    def keep(self, kept: Kept) -> None:
        """Add one."""
        self._kept.append(kept)

    def forget(self, kept: Kept) -> None:
        """Take one away again: nothing came of its command."""
        if kept in self._kept:
            self._kept.remove(kept)

    @property
    def commands(self) -> int:
        """How many commands can be undone."""
        return sum(bool(each.words) for each in self._kept)

    def undo(self, count: int) -> list[Kept]:
        """Take away the last so many commands, of which there are as many; last first."""
        undone: list[Kept] = []
        while len(undone) < count:
            each = self._kept.pop()
            if each.words:
                undone.append(each)
        return undone

    def before(self, step: int) -> Kept | None:
        """The last copy at this step or before it from which the machine, left alone, goes on as it did; None if
        there is none any more."""
        return next((each for each in reversed(self._kept) if not each.jump and each.machine.steps <= step), None)

    @property
    def oldest(self) -> int | None:
        """The least step from which a copy goes on; None without one."""
        return min((each.machine.steps for each in self._kept if not each.jump), default=None)
