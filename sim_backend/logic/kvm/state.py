"""A machine's state beside its memory and its actors, where KVM runs on it."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.logic.kinds import MSI_KEY, NUMBER, PLACE, Ascending, Bindings, ByCpu, Frame, ListOf, Table, held
from sim_backend.logic.program import FRAME
from sim_backend.logic.state import State


@dataclass(slots=True, eq=False)
class KvmState(State):
    """`State`, where `scheduled` is by CPU the vCPU whose thread runs there (0: none), `runq` the vCPUs whose threads
    wait there, `tasklets` how many other threads of the host do, and `bindings` are the guest's routes.

    Attributes:
        threads: of vCPUs whose thread does not run, its kernel stack.
        reschedule: by CPU, whether another thread is to be chosen (TIF_NEED_RESCHED).
        unpreemptible: by CPU, whether its thread must not be preempted now.
        masked: vCPUs that have interrupts disabled (RFLAGS.IF = 0).
        routes: by MSI, the vCPUs and vectors that its irqfd has noted.
        expired: vCPUs of which an emulated timer has expired whose interrupt they have not been given yet.
    """

    threads: dict[int, list[Frame]] = held(Table(PLACE, ListOf(FRAME)))
    reschedule: list[int] = held(ByCpu(NUMBER), each=True)
    unpreemptible: list[int] = held(ByCpu(NUMBER), each=True)
    masked: list[int] = held(Ascending(PLACE))
    routes: dict[int, tuple[tuple[int, int], ...]] = held(Table(MSI_KEY, Bindings()))
    expired: list[int] = held(Ascending(PLACE))

    @classmethod
    def switched_on(cls, cpus: int, units: int, store_buffers: bool) -> KvmState:
        """As State.switched_on."""
        # A dataclass with slots is another class than the one in which this stands.
        made = super(KvmState, cls).switched_on(cpus, units, store_buffers)
        assert isinstance(made, KvmState)
        made.reschedule = [0] * cpus
        made.unpreemptible = [0] * cpus
        return made
