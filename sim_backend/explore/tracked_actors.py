"""Actors whose state is a view's: each has two keys of it, its local APIC a third."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from sim_backend.explore.tracked_records import Tracked
from sim_backend.logic.cpu import INJECTED, assist, idle_loop, in_guest, vmx_do_vmentry
from sim_backend.logic.program import PC, PROCEDURE

DOING, WHERE, LAPIC = "doing", "where", "lapic"
"""Parts of the state of an actor, and of its local APIC."""
STACK = 0
"""Of the part of an actor's state that says what it does, where its stack is."""


def without_unread(values: tuple[Any, ...]) -> Hashable:
    """What an actor does (its stack comes first, then the result of its last procedure), without what nobody reads any
    more."""
    stack, result, *others = values
    top = stack[-1] if stack else None
    if top is None or top[PROCEDURE] == idle_loop.number:
        result = 0
    elif stack[0][PROCEDURE] == vmx_do_vmentry.number:
        pc, alone = stack[0][PC], len(stack) == 1
        if pc == assist.pc:
            stack = ((*stack[0][:INJECTED], 0, *stack[0][INJECTED + 1 :]), *stack[1:])
        if alone and pc in (assist.pc, in_guest.pc):
            result = 0
    return (stack, result, *others)


class TrackedActor(Tracked):
    """What makes an actor one whose state is a view's."""

    if not TYPE_CHECKING:
        __slots__ = ()

    def settled(self, part: int, values: tuple[Any, ...]) -> Hashable:
        """As Tracked.settled."""
        return without_unread(values) if self._fields[part][0].part == DOING else values
