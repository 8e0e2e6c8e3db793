"""A machine's state beside its memory and its actors."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.logic.kinds import (
    CPU_ID,
    CPU_MASK,
    ENTRY_INDEX,
    ENTRY_VALUE,
    FIXED,
    FLAG,
    MSI_KEY,
    NUMBER,
    PLACE,
    STORE,
    TEXT,
    Ascending,
    Bindings,
    ByCpu,
    ListOf,
    Places,
    Saturating,
    Table,
    held,
)

Store = tuple[int, int, int]
"""Address, size in bytes, value."""
GUEST_ORDER = Places(NUMBER, PLACE, NUMBER)
"""What a guest is told to do, and of an interrupt to another vCPU, which one and with what vector."""


@dataclass(slots=True, eq=False)
class State:
    """The one place where it is declared what a machine's state is. See `sim_backend.logic.kinds`.

    Attributes:
        steps: how many there were.
        draw, random: of the generators, for who moves and for what happens.
        background: whether the toolstack or a unit may have something to do.
        crashed: why the simulated Xen or hardware cannot go on, or None.
        reserved_first: whether units look at an entry's reserved bits before its source-id, as QEMU does.
        status: by unit, where it writes that a wait descriptor is done.
        message_buffer: where copies of a host's message are made.
        online, active: the CPUs in `cpu_online_map`, and those of them that the scheduler uses.
        areas: by CPU_ID that has a per-CPU_ID area, its `vmx_pi_blocking`.
        scheduled, runq: by CPU_ID, the vCPU that the scheduler chose for it, and those that wait there.
        curr: by CPU_ID, the vCPU whose state it holds (`curr_vcpu`).
        tasklets: by CPU_ID, how many are to run.
        dpci: by CPU_ID, the MSIs whose guests are to be told.
        timers: by CPU_ID, the vCPUs of which an emulated timer has expired.
        monitored: by CPU_ID, whether its monitor is armed and nobody has stored to its softirqs since.
        flush_locked, flush_mask: the flush lock, and the CPUs that have not yet done what is asked under it.
        leaving: the CPU_ID that is to stop itself, or -1.
        lost: interrupt messages that came to nobody.
        events: the vCPUs with an event-channel upcall pending.
        migrating: where vCPUs that are being moved will go.
        orders: what guests were told to do on a vCPU.
        ipi_order: which vCPU the guest that leaves non-root mode interrupts, and the vector.
        bindings: by MSI_KEY, the vCPUs and vectors that the guest has it go to.
        owners: by device, the domain that it is assigned to.
        actions: the irqs that Xen itself handles.
        binding_locked: whether somebody changes a guest's interrupts (`event_lock`).
        before_posting: by msi_desc, its entry before it was posted, where that is kept.
        iec: the units' interrupt entry caches.
        next_fault: by unit, the next fault recording register.
        buffers: by CPU_ID with a store buffer, its stores that others do not see yet, the oldest first.
    """

    steps: int = held(NUMBER, digested=False, searched=False)
    draw: int = held(NUMBER, searched=False)
    random: int = held(NUMBER, searched=False)
    background: bool = held(FLAG, searched=False)
    reserved_first: bool = held(FLAG, searched=False)
    status: list[int] = held(ListOf(NUMBER), searched=False)
    message_buffer: int = held(NUMBER, searched=False)
    crashed: str | None = held(TEXT)
    online: list[int] = held(Ascending(CPU_ID))
    active: list[int] = held(Ascending(CPU_ID))
    areas: dict[int, int] = held(Table(CPU_ID, PLACE))
    scheduled: list[int] = held(ByCpu(PLACE))
    runq: list[list[int]] = held(ByCpu(ListOf(PLACE)))
    curr: list[int] = held(ByCpu(PLACE), each=True)
    tasklets: list[int] = held(ByCpu(NUMBER))
    dpci: list[list[int]] = held(ByCpu(ListOf(MSI_KEY)))
    timers: list[list[int]] = held(ByCpu(ListOf(PLACE)))
    monitored: list[int] = held(ByCpu(NUMBER), each=True)
    flush_locked: int = held(NUMBER)
    flush_mask: int = held(CPU_MASK)
    leaving: int = held(CPU_ID)
    lost: int = held(Saturating())
    events: dict[int, int] = held(Table(PLACE, NUMBER))
    migrating: dict[int, int] = held(Table(PLACE, CPU_ID))
    orders: dict[int, list[list[int]]] = held(Table(PLACE, ListOf(GUEST_ORDER)))
    ipi_order: list[int] = held(Places(PLACE, NUMBER))
    bindings: dict[int, tuple[tuple[int, int], ...]] = held(Table(MSI_KEY, Bindings()))
    owners: dict[int, int] = held(Table(NUMBER, NUMBER))
    actions: list[int] = held(ListOf(NUMBER), searched=False)
    binding_locked: int = held(NUMBER)
    before_posting: dict[int, int] = held(Table(FIXED, FIXED))
    iec: dict[tuple[int, int], int] = held(Table(ENTRY_INDEX, ENTRY_VALUE))
    next_fault: list[int] = held(ListOf(NUMBER))
    buffers: list[list[Store]] = held(ByCpu(ListOf(STORE)), each=True)

    @classmethod
    def switched_on(cls, cpus: int, units: int, store_buffers: bool) -> State:
        """The state of a machine before its layout is known."""
        return cls(
            online=list(range(cpus)),
            active=list(range(cpus)),
            scheduled=[0] * cpus,
            runq=[[] for _ in range(cpus)],
            curr=[0] * cpus,
            tasklets=[0] * cpus,
            dpci=[[] for _ in range(cpus)],
            timers=[[] for _ in range(cpus)],
            monitored=[0] * cpus,
            next_fault=[0] * units,
            buffers=[[] for _ in range(cpus if store_buffers else 0)],
        )
