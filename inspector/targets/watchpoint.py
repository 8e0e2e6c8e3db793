"""Targets that can be let run until somebody stores to chosen memory, or enters a chosen function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, runtime_checkable

from structs.frozen import frozen

SECONDS: Final = "s"
STEPS: Final = "steps"
"""The units of a trace's times: of the host's clock, or of a simulated machine."""


@frozen
class Write:
    """Memory to watch: Xen's virtual address of it, the physical one, and its size in bytes."""

    virtual: int
    physical: int
    size: int


@frozen
class StopEvent:
    """A machine has stopped at a tripwire.

    Attributes:
        time: since it was armed, in the target's unit.
        kind: `write` or `hook`.
        cpu: the CPU, in the target's order; None if no CPU did it.
        registers: that CPU's `rip`, `rsp` and `rdi`, as far as known.
        function: the function that it executes, if the target knows better than `rip` tells.
        line: of the source, likewise.
        address: the physical address that was stored to, if the target knows.
        word: the aligned 8 bytes at `address` as this store left them, if another CPU stored before the stop.
    """

    time: float
    kind: str
    cpu: int | None
    registers: Mapping[str, int]
    function: str | None = None
    line: str | None = None
    address: int | None = None
    word: int | None = None


@runtime_checkable
class Watchpoint(Protocol):
    """A target with tripwires. None of them is kept in the machine's memory."""

    unit: Literal["s", "steps"]
    """Of `Trip.time`: `s` or `steps`."""

    def arm(self, writes: Sequence[Write], hooks: Mapping[str, int]) -> None:
        """Set tripwires on a machine that stands still: memory, and functions with their virtual addresses.

        Raises:
            TargetError: they are too many, or the target was lost.
        """

    def stop_event(self, seconds: float) -> StopEvent | None:
        """Let the machine run until it trips, and at most so long; None if it has not, and may still be running.

        Raises:
            TargetError: it was lost, or stopped for another reason.
        """

    def disarm(self) -> None:
        """Stop the machine, and take all tripwires away. Safe to call at any time after `arm` was called."""


@runtime_checkable
class WatchesLists(Protocol):
    """A target whose tripwires suffice, as a rule, for the lists of blocked vCPUs and for domains' hooks as well."""

    most_writes: int
    """So many places it can watch."""
