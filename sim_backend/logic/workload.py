"""What happens of itself on a machine, and how often."""

from __future__ import annotations

from dataclasses import field, fields

from sim_backend.memory.errors import SimError
from structs.frozen import frozen

OUT_OF = 1024
_NOT_OUTSIDE = frozenset(("halt", "hypercall", "ipi", "post"))


@frozen
class Workload:
    """What happens of itself, each as a rate out of 1024.

    When a guest's turn comes: `halt`, `hypercall`, `ipi` (to another vCPU of its domain), else it computes. When an
    assigned device's turn comes: `post`. When the outside world's turn comes: `timer` (a time slice ends on some CPU),
    `event` (an event-channel upcall), `emulated` (an emulated device's interrupt, posted by software), `tasklet`,
    `migrate`, `pause` (a vCPU, or unpause), `hotplug` (a device is assigned or taken back), `offline` (a CPU goes or
    comes). All 0: nothing happens unless it is asked for.
    """

    halt: int = 0
    hypercall: int = 0
    ipi: int = 0
    post: int = 0
    timer: int = 0
    event: int = 0
    emulated: int = 0
    tasklet: int = 0
    migrate: int = 0
    pause: int = 0
    hotplug: int = 0
    offline: int = 0
    busy: bool = field(init=False, repr=False, default=False)
    outside: tuple[tuple[str, int], ...] = field(init=False, repr=False, default=())
    outside_total: int = field(init=False, repr=False, default=0)

    def __post_init__(self) -> None:
        rates = self.rates()
        for name, rate in rates.items():
            if not 0 <= rate <= OUT_OF:
                raise SimError(f"workload {name} = {rate}: a rate is 0 to {OUT_OF}")
        if self.halt + self.hypercall + self.ipi > OUT_OF:
            raise SimError(f"workload halt, hypercall and ipi add up to more than {OUT_OF}")
        outside = [(name, rate) for name, rate in rates.items() if rate and name not in _NOT_OUTSIDE]
        object.__setattr__(self, "outside_total", sum(rate for _, rate in outside))
        if self.outside_total > OUT_OF:
            raise SimError(f"workload {', '.join(name for name, _ in outside)} add up to more than {OUT_OF}")
        object.__setattr__(self, "busy", any(rates.values()))
        object.__setattr__(self, "outside", tuple(outside))

    def rates(self) -> dict[str, int]:
        """All rates by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}
