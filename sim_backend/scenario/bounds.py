"""How much of each kind of event a bounded scenario has, and what was done before it begins: its `[explore]` table.

[explore]
posts = 2
preemptions = 1
blocks = -1
prelude = ["block d1v0", "settle"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sim_backend.memory.errors import SimError

UNBOUNDED = -1
MOST = 250


@dataclass(frozen=True)
class Bounds:
    """How often each kind of event happens at most in one history; -1: without bound. None of them has to happen.

    `posts`: a device sends a message. `blocks`: a guest halts. `hypercalls`: it exits otherwise. `ipis`: it interrupts
    another vCPU of its domain. `preemptions`: a time slice ends. `migrations`: a vCPU is moved. `upcalls`: an event
    channel fires. `emulated`: an emulated device interrupts. `pauses`, `unpauses`: of a vCPU. `attaches`, `detaches`:
    of a device. `retargets`: a guest has an interrupt go to another vCPU, or to all of them. `nmis`: it makes an NMI of
    one. `swaps`: of the APIC IDs of two vCPUs. `offlines`, `onlines`: of a CPU. `saves`: of a domain's context.
    `suspends`: of the host.

    `prelude` are orders that are given before, by name with their arguments; `settle` lets the machine come to rest.
    """

    posts: int = 0
    blocks: int = 0
    hypercalls: int = 0
    ipis: int = 0
    preemptions: int = 0
    migrations: int = 0
    upcalls: int = 0
    emulated: int = 0
    pauses: int = 0
    unpauses: int = 0
    attaches: int = 0
    detaches: int = 0
    retargets: int = 0
    nmis: int = 0
    swaps: int = 0
    offlines: int = 0
    onlines: int = 0
    saves: int = 0
    suspends: int = 0
    prelude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, number in self.numbers().items():
            if not UNBOUNDED <= number <= MOST:
                raise SimError(f"explore.{name} = {number}: 0 to {MOST}, or -1 for no bound")

    def numbers(self) -> dict[str, int]:
        """The bounds by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "prelude"}

    def but(self, **numbers: int) -> Bounds:
        """The same with other numbers."""
        chosen: Mapping[str, Any] = numbers
        return replace(self, **chosen)
