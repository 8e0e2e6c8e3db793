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
from typing import Any

from sim_backend.memory.errors import SimError
from structs.frozen import frozen

UNBOUNDED = -1
MOST = 250


def _bound(by_number: bool = False, rebinds: bool = False) -> int:
    made: int = field(default=0, metadata={"by_number": by_number, "rebinds": rebinds})
    return made


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
    that it handles itself.

    Of some it is declared that they are carried out for vCPUs or CPUs one after the other, `by_number`, and of some
    that they `rebind` interrupts: what a device sends goes elsewhere after that.

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
    attaches: int = _bound(by_number=True, rebinds=True)
    detaches: int = _bound(by_number=True, rebinds=True)
    retargets: int = _bound(by_number=True, rebinds=True)
    nmis: int = _bound(by_number=True, rebinds=True)
    swaps: int = _bound(by_number=True, rebinds=True)
    offlines: int = _bound(by_number=True)
    onlines: int = _bound(by_number=True)
    saves: int = _bound(by_number=True)
    suspends: int = _bound(by_number=True)
    rewrites: int = _bound(by_number=True, rebinds=True)
    unroutes: int = _bound(by_number=True, rebinds=True)
    loads: int = _bound(by_number=True)
    timers: int = 0
    broadcasts: int = _bound(by_number=True)
    disables: int = _bound(by_number=True)
    prelude: tuple[str, ...] = ()

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
