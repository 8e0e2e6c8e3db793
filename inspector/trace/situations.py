"""Where a vCPU stands at a stop of a traced machine: read of it alone, for a whole look at each store is too slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inspector.base.errors import UNREADABLE
from inspector.model.snapshot import Descriptor, Snapshot, Vcpu
from inspector.trace.lists import Membership
from inspector.xen.domains import RUNSTATES
from inspector.xen.xen import Xen

MEMBERS = ("processor", "is_running", "pause_flags", "pause_count", "runstate.state")
MASK64 = (1 << 64) - 1
Situate = Callable[[Snapshot, Vcpu], str | None]
"""What tells a situation's id of a vCPU in a snapshot."""


class Situations:
    """The situations of a machine's vCPUs.

    Args:
        snapshot: of the machine when the trace began: which vCPUs and CPUs there are, and which hooks.
        situate: what tells them.
    """

    def __init__(self, xen: Xen, snapshot: Snapshot, situate: Situate) -> None:
        self._situate = situate
        self._xen = xen
        self._snapshot = snapshot
        self._names = {vcpu.address: vcpu.name for vcpu in snapshot.vcpus}
        self._domains = {domain.domain: domain.address for domain in snapshot.domains}
        start = xen.profile.symbol("per_cpu__curr_vcpu")
        self._loaded = [(start + cpu.offset & MASK64, 8) for cpu in snapshot.cpus if cpu.offset is not None]
        self._cpus = [cpu for cpu in snapshot.cpus if cpu.offset is not None]

    def at(self, name: str, pi: Descriptor, place: Membership) -> str | None:
        """A vCPU's situation by its id, with this descriptor and place on the lists; None if it cannot be told."""
        vcpu = self._snapshot.by_name[name]
        try:
            row = self._xen.structs("vcpu", [vcpu.address], *MEMBERS)[0]
            domain = self._xen.structs("domain", [self._domains[vcpu.domain]], "pause_count")[0]
            parts = self._xen.memory.read_parts(self._loaded)
            guest = {cpu.index: cpu.registers.get("guest") for cpu in self._xen.memory.target.cpus()}
        except UNREADABLE:
            return None
        if row is None or domain is None:
            return None
        running, in_guest = bool(row["is_running"]), guest.get(row["processor"])
        now = replace(
            vcpu,
            cpu=row["processor"],
            is_running=running,
            pause_flags=row["pause_flags"],
            pause_count=row["pause_count"] + domain["pause_count"],
            runstate=RUNSTATES.get(row["runstate.state"], "unknown"),
            pi=pi,
            blocking_list=place[0],
            in_guest=None if in_guest is None else running and bool(in_guest),
        )
        cpus = tuple(
            replace(cpu, loaded=self._names.get(int.from_bytes(part or b"", "little")))
            for cpu, part in zip(self._cpus, parts, strict=True)
        )
        return self._situate(self._snapshot.but(cpus=cpus), now)
