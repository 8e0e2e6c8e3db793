"""The simulated machine with Linux and KVM on a view; see `sim_backend.explore.tracked`."""

from __future__ import annotations

from collections.abc import Iterator

from sim_backend.explore.kvm_situations import situation
from sim_backend.explore.tracked import Counted, Tracking, apic_registers, first_records, shown_context
from sim_backend.explore.tracked_memory import CELL
from sim_backend.explore.tracked_records import Shown
from sim_backend.layout.kvm.layout import KvmLayout
from sim_backend.logic.kvm.context import KvmContext
from sim_backend.machine.kvm import KvmMachine


class TrackedKvmLayout(KvmLayout):
    """A layout of which nothing comes or goes."""


class TrackedKvm(Tracking, KvmMachine):
    """A machine with Linux and KVM whose state is a view's."""

    __slots__ = ("_first", "base", "shown", "tally", "vectors")

    def __init__(self, machine: KvmMachine) -> None:
        self.base = machine
        self.shown = shown = Shown()
        self.tally = Counted(shown)
        self.vectors = []
        base = machine.context
        w = shown_context(base, TrackedKvmLayout, ((), _mirrors(base)), shown, self.tally)
        machine.attach(w)
        self._take(machine.scenario, w)
        self._first = first_records(machine)

    def situation(self, v: int) -> str:
        """Where a vCPU stands."""
        return situation(self, v)


def _mirrors(w: KvmContext) -> Iterator[int]:
    """What only shows in memory what is elsewhere in the state."""
    tasks = (task + w.o.task_cpu for task in w.addresses.tasks.values())
    return (place & -CELL for place in (*w.addresses.current, *tasks, *apic_registers(w)))
