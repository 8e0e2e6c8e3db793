"""Where two runs of one call differ, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from sim_backend.logic.pi import Call, Store
from sim_backend.memory.memory import PAGE, Memory

from .machine_code import Event, change


class MachineMemory(Protocol):
    """A machine, for its memory."""

    memory: Memory


@dataclass
class Run:
    """What one side did: its value, its events in order, and where memory differs from the state's."""

    value: int
    events: list[Event]
    pages: set[int]
    page: Callable[[int], bytes]


class Names:
    """What lies at an address, for messages and to choose what is compared in order.

    Args:
        parts: addresses, sizes and names; the first one that fits counts.
        unordered: how the names end of parts of which it does not matter when they are stored to.
        foreign: and of those that the model does not have.
    """

    def __init__(
        self, parts: Iterable[tuple[int, int, str]], unordered: tuple[str, ...], foreign: tuple[str, ...] = ()
    ) -> None:
        self._parts = [*parts]
        self._unordered = (*unordered, *foreign)
        self._foreign = foreign
        self._cache: dict[int, str] = {}

    def __call__(self, address: int) -> str:
        if address not in self._cache:
            fits = (name for start, size, name in self._parts if start <= address < start + size)
            self._cache[address] = next(fits, "memory")
        return self._cache[address]

    def compared(self, address: int) -> bool:
        """Whether the model has what is there."""
        return not self(address).endswith(self._foreign)

    def in_order(self, event: Event, stack: range) -> bool:
        """Whether it matters when this happens."""
        if event[0] != "store":
            return True
        return event[1] not in stack and not self(event[1]).endswith(self._unordered)

    def say(self, event: Event) -> str:
        """One line."""
        if event[0] != "store":
            return f"{event[0]}({', '.join(each if isinstance(each, str) else hex(each) for each in event[1:])})"
        _, address, old, new = event
        return f"{self(address)} [{address:#x}]: {old[::-1].hex()} -> {new[::-1].hex()}"


def model_run(layout: MachineMemory, value: int, events: Iterable[Store | Call]) -> Run:
    """What the model did, told as the code's run is."""
    told: list[Event] = []
    pages: set[int] = set()
    for event in events:
        if not isinstance(event, Store):
            told.append(event)
            continue
        sides = (event.before.to_bytes(event.size, "little"), event.after.to_bytes(event.size, "little"))
        told += change(event.address, *sides)
        pages.update((event.address // PAGE, (event.address + event.size - 1) // PAGE))
    return Run(value, told, pages, lambda page: layout.memory.read(page * PAGE, PAGE))


def differences(code: Run | None, model: Run | None, names: Names, stack: range) -> list[str]:
    """What the code did otherwise than the model, one line each; none if they agree."""
    if code is None or model is None:
        one = "the code" if code is None else "the model"
        return [] if code is model else [f"{one} alone faults or does not end"]
    found = []
    if code.value != model.value:
        found.append(f"value: {code.value:#x}, model {model.value:#x}")
    sides = [[event for event in run.events if names.in_order(event, stack)] for run in (code, model)]
    if sides[0] != sides[1]:
        place = next(
            n for n, pair in enumerate(zip([*sides[0], None], [*sides[1], None], strict=False)) if pair[0] != pair[1]
        )
        said = [names.say(side[place]) if place < len(side) else "nothing more" for side in sides]
        found.append(f"event {place}: {said[0]}; model: {said[1]}")
    for page in sorted(code.pages | model.pages):
        ours, theirs = code.page(page), model.page(page)
        if ours != theirs:
            start = page * PAGE
            places = [at for at in range(PAGE) if ours[at] != theirs[at] and start + at not in stack]
            for at in (at for at in places if names.compared(start + at)):
                found.append(f"memory: {names(start + at)} [{start + at:#x}] {ours[at]:02x}; model: {theirs[at]:02x}")
    return found
