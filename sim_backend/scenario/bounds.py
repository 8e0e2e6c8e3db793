"""How much of each kind of event a bounded scenario has, and what was done before it begins: its `[explore]` table.

[explore]
posts = 2
preemptions = 1
blocks = -1
prelude = ["block d1v0", "settle"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Annotated, Any

from msgspec import Meta

from sim_backend.memory.errors import SimError
from structs.frozen import frozen

UNBOUNDED = -1
MOST = 250
LONGEST_ORDER = 200
"""Characters of one of the prelude."""

Bound = Annotated[int, Meta(ge=UNBOUNDED, le=MOST)]
Order = Annotated[str, Meta(max_length=LONGEST_ORDER)]
BY_NUMBER = {"by_number": True}
REBINDS = {**BY_NUMBER, "rebinds": True}


@frozen
class Bounds:
    """How often each kind of event happens at most in one history; -1: without bound. None of them has to happen.

    `posts`: a device sends a message. `blocks`: a guest halts. `hypercalls`: it exits otherwise. `ipis`: it interrupts
    another vCPU of its domain. `preemptions`: a time slice ends. `migrations`: a vCPU is moved. `upcalls`: an event
    channel fires. `emulated`: an emulated device interrupts. `pauses`, `unpauses`: of a vCPU. `attaches`, `detaches`:
    of a device. `retargets`: a guest has an interrupt go to another vCPU, or to all of them. `nmis`: it makes an NMI of
    one. `swaps`: of the APIC IDs of two vCPUs. `offlines`, `onlines`: of a CPU. `saves`: of a domain's context.
    `suspends`: of the host. `rewrites`: a vCPU has an interrupt of its guest go to another one, itself. `unroutes`: a
    guest's interrupt is no MSI of its any more. `loads`: of a domain's context. `timers`: an emulated timer expires.
    `broadcasts`: one expires while the CPU that it is on cannot see it by itself. `disables`: Xen disables an interrupt
    that it handles itself. `moves`: the host moves a device's interrupt to another CPU.

    Of some it is declared that they are carried out for vCPUs or CPUs one after the other, `by_number`, and of some
    that they `rebind` interrupts: what a device sends goes elsewhere after that.

    `prelude` are orders that are given before, by name with their arguments; `settle` lets the machine come to rest.
    """

    posts: Bound = 0
    blocks: Bound = 0
    hypercalls: Bound = 0
    ipis: Bound = 0
    preemptions: Bound = 0
    migrations: Bound = 0
    upcalls: Bound = 0
    emulated: Bound = 0
    pauses: Bound = 0
    unpauses: Bound = 0
    attaches: Bound = field(default=0, metadata=REBINDS)
    detaches: Bound = field(default=0, metadata=REBINDS)
    retargets: Bound = field(default=0, metadata=REBINDS)
    nmis: Bound = field(default=0, metadata=REBINDS)
    swaps: Bound = field(default=0, metadata=REBINDS)
    offlines: Bound = field(default=0, metadata=BY_NUMBER)
    onlines: Bound = field(default=0, metadata=BY_NUMBER)
    saves: Bound = field(default=0, metadata=BY_NUMBER)
    suspends: Bound = field(default=0, metadata=BY_NUMBER)
    rewrites: Bound = field(default=0, metadata=REBINDS)
    unroutes: Bound = field(default=0, metadata=REBINDS)
    loads: Bound = field(default=0, metadata=BY_NUMBER)
    timers: Bound = 0
    broadcasts: Bound = field(default=0, metadata=BY_NUMBER)
    disables: Bound = field(default=0, metadata=BY_NUMBER)
    moves: Bound = field(default=0, metadata=BY_NUMBER)
    prelude: tuple[Order, ...] = ()

    def __post_init__(self) -> None:
        for name, number in self.numbers().items():
            if not UNBOUNDED <= number <= MOST:
                raise SimError(f"explore.{name} = {number}: 0 to {MOST}, or -1 for no bound")

    def numbers(self) -> dict[str, int]:
        """The bounds by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "prelude"}

    @property
    def by_number(self) -> bool:
        """Whether anything happens that treats vCPUs or CPUs by number, so that they are not alike."""
        return any(getattr(self, each.name) for each in fields(self) if each.metadata.get("by_number"))

    @property
    def rebinds(self) -> bool:
        """Whether interrupts may come to go elsewhere."""
        return any(getattr(self, each.name) for each in fields(self) if each.metadata.get("rebinds"))

    def but(self, **numbers: int) -> Bounds:
        """The same with other numbers."""
        chosen: Mapping[str, Any] = numbers
        return replace(self, **chosen)
