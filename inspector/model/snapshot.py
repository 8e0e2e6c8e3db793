"""Everything one look at a machine found, as plain data: what the commands show, the audit judges and a file keeps.

>>> snapshot = Snapshot(target="an example", version="4.20.3")
>>> loads(dumps(snapshot)) == snapshot
True
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from inspector.base.errors import TargetError
from inspector.model import json_codec as records
from inspector.xen.interrupts import Msi

SCHEMA = 1
"""The schema's version: it grows when a reader of the old one would misread the new one."""

FORMAT = "vtdpi snapshot"
IDLE = "idle"
IN_XEN, IN_GUEST, IN_PV = "xen", "guest", "pv"

BLOCK, SWITCH_FROM, SWITCH_TO, RESUME = "block", "switch_from", "switch_to", "resume"
MARKER = (1 << 32) - 1
"""NDST of a vCPU that no hook has seen yet (Xen 4.9 and later); as `dirty_cpu`: on no CPU (VCPU_CPU_CLEAN)."""


@dataclass(frozen=True)
class Descriptor:
    """A posted-interrupt descriptor: physical address, the vectors in PIR, its fields, its reserved bits in place."""

    address: int
    pir: tuple[int, ...]
    on: int
    sn: int
    nv: int
    ndst: int
    reserved: int = 0


@dataclass(frozen=True)
class Vcpu:
    """One vCPU. Addresses are Xen's virtual ones unless said otherwise; None is what could not be read.

    Attributes:
        runstate: `running`, `runnable`, `blocked` or `offline`.
        pause_count: of the vCPU and its domain together.
        since: when it entered its run state, in ns of Xen's clock: if two snapshots agree, it has not run between.
        in_guest: whether its CPU executes the guest now.
        hooks: which of Xen's posting hooks its domain has (`block`, `switch_from`, ...).
        node: of its list node `pi_blocking.list`; `following` and `preceding` are what that points to.
        lock: `pi_blocking.lock`, the lock of the list that the vCPU is on, 0 if on none.
        blocking_list: the CPU whose list holds the node.
        irr, isr: vectors in its virtual local APIC.
        tpr, ppr: that APIC's task and processor priority.
        apic_off: whether that APIC is disabled.
        interruptible: RFLAGS.IF when it last left the guest.
        polling: whether it waits in SCHEDOP_poll, for event channels.
        vmcs_pi: the physical address of a descriptor that its VMCS page holds.
    """

    domain: int
    vcpu: int
    address: int = 0
    hvm: bool = False
    processor: int | None = None
    runstate: str = ""
    is_running: bool | None = None
    pause_flags: int = 0
    pause_count: int = 0
    dirty_cpu: int | None = None
    since: int | None = None
    in_guest: bool | None = None
    hooks: tuple[str, ...] = ()
    pi: Descriptor | None = None
    node: int = 0
    following: int = 0
    preceding: int = 0
    lock: int = 0
    blocking_list: int | None = None
    irr: tuple[int, ...] | None = None
    isr: tuple[int, ...] | None = None
    tpr: int | None = None
    ppr: int | None = None
    apic_off: bool | None = None
    interruptible: bool | None = None
    polling: bool | None = None
    vmcs_pi: int | None = None

    @property
    def name(self) -> str:
        """`d1v2`."""
        return f"d{self.domain}v{self.vcpu}"

    @property
    def blocked(self) -> bool:
        """VPF_blocked: it waits for an event."""
        return bool(self.pause_flags & 1)


@dataclass(frozen=True)
class Cpu:
    """A physical CPU as Xen counts it.

    Attributes:
        offset: of its per-CPU area (`__per_cpu_offset[]`), None if it has none.
        softirqs: its pending softirqs, a bit each.
        current: the vCPU that it runs, `idle`, or None if not known.
        loaded: the vCPU whose state it holds (`curr_vcpu`), which a lazy switch leaves behind.
        mode: what its registers say that it executes: `xen`, `guest` (VMX non-root), `pv`
            (a paravirtualised guest), `idle`.
        irr, isr: vectors in its local APIC.
        interruptible: RFLAGS.IF of the vCPU whose state it holds, when that last left the guest.
    """

    cpu: int
    apic_id: int
    online: bool = True
    offset: int | None = None
    softirqs: int | None = None
    current: str | None = None
    loaded: str | None = None
    mode: str | None = None
    rip: int | None = None
    irr: tuple[int, ...] | None = None
    isr: tuple[int, ...] | None = None
    interruptible: bool | None = None

    @property
    def in_guest(self) -> bool | None:
        """Whether it executes a hardware-virtualised guest; None if not known."""
        return None if self.mode is None else self.mode == IN_GUEST


@dataclass(frozen=True)
class Node:
    """A node of a blocking list, the vCPU that it belongs to if it is any's, and its pointers."""

    address: int
    vcpu: str | None
    following: int
    preceding: int


@dataclass(frozen=True)
class BlockingList:
    """A CPU's list of blocked vCPUs (`per_cpu(vmx_pi_blocking, cpu)`), in order. `broken` says why it ends early."""

    cpu: int
    head: int
    lock: int
    locked: bool
    following: int
    preceding: int
    nodes: tuple[Node, ...] = ()
    broken: str | None = None


@dataclass(frozen=True)
class Binding:
    """A guest's MSI bound to a host interrupt (`hvm_pirq_dpci`). `vcpu` is its destination, -1 if several."""

    irq: int
    gvec: int
    vcpu: int
    posted: bool


@dataclass(frozen=True)
class Domain:
    """A domain. `devices` are its PCI devices, seg << 16 | bus << 8 | devfn; `bindings` is None where not known."""

    domain: int
    address: int = 0
    hvm: bool = False
    pause_count: int = 0
    dying: int = 0
    devices: tuple[int, ...] = ()
    bindings: tuple[Binding, ...] | None = None


@dataclass(frozen=True)
class Pin:
    """An IO-APIC's pin and the remapping index that Xen gave it."""

    ioapic: int
    pin: int
    index: int


@dataclass(frozen=True)
class Platform:
    """An IO-APIC (kind 3) or HPET (kind 4) of the ACPI DMAR table, by the source-id that it uses."""

    kind: int
    enumeration_id: int
    sid: int


@dataclass(frozen=True)
class Fault:
    """A fault record (FRCD) that is not clear."""

    record: int
    pending: int
    reason: int
    sid: int
    info: int


@dataclass(frozen=True)
class VtdUnit:
    """A VT-d unit and the entries of its table that are present.

    Attributes:
        base, size: of the interrupt-remapping table; `size` in entries.
        origin: what told where the table is.
        cap_pi: CAP.PI, 1 if the unit can post.
        in_use: how many entries Xen counts as allocated.
        indices: of the present entries, ascending.
        raw: those entries, 16 bytes each.
        fsts, iqh, iqt: registers; None where the target has none.
    """

    index: int
    register_base: int
    segment: int = 0
    base: int | None = None
    size: int = 0
    eime: int = 0
    origin: str = ""
    cap_pi: int | None = None
    in_use: int | None = None
    indices: tuple[int, ...] = ()
    raw: bytes = b""
    fsts: int | None = None
    iqh: int | None = None
    iqt: int | None = None
    faults: tuple[Fault, ...] = ()
    platform: tuple[Platform, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """One look at a machine. `problems` are what could not be read, a line each; None is what is not known.

    `beside`: Xen is executed elsewhere than on its CPUs, as a simulation's control domain does.
    """

    target: str
    version: str | None = None
    build_id: str | None = None
    intremap: bool | None = None
    intpost: bool | None = None
    x2apic: bool | None = None
    posted_intr_vector: int | None = None
    pi_wakeup_vector: int | None = None
    cpus: tuple[Cpu, ...] = ()
    lists: tuple[BlockingList, ...] = ()
    domains: tuple[Domain, ...] = ()
    vcpus: tuple[Vcpu, ...] = ()
    units: tuple[VtdUnit, ...] = ()
    msis: tuple[Msi, ...] = ()
    pins: tuple[Pin, ...] = ()
    problems: tuple[str, ...] = ()
    beside: bool = False

    @cached_property
    def by_name(self) -> dict[str, Vcpu]:
        """The vCPUs by name."""
        return {vcpu.name: vcpu for vcpu in self.vcpus}

    @cached_property
    def by_descriptor(self) -> dict[int, Vcpu]:
        """The vCPUs by the physical address of their descriptor."""
        return {vcpu.pi.address: vcpu for vcpu in self.vcpus if vcpu.pi}

    @cached_property
    def by_cpu(self) -> dict[int, Cpu]:
        """The CPUs by number."""
        return {cpu.cpu: cpu for cpu in self.cpus}

    @cached_property
    def online(self) -> tuple[Cpu, ...]:
        """The CPUs that are online."""
        return tuple(cpu for cpu in self.cpus if cpu.online)

    @cached_property
    def release(self) -> tuple[int, int] | None:
        """Xen's version as (major, minor)."""
        parts = (self.version or "").split(".")
        if len(parts) < 2 or not parts[0].isdigit():
            return None
        minor = "".join(c for c in parts[1][:2] if c.isdigit())
        return (int(parts[0]), int(minor)) if minor else None


def dumps(snapshot: Snapshot) -> str:
    """The snapshot as one JSON document."""
    return records.dumps({"format": FORMAT, "schema": SCHEMA, **records.plain(snapshot)})


def loads(text: str, source: str = "the file") -> Snapshot:
    """The snapshot in a JSON document.

    Raises:
        TargetError: it is no snapshot, of a newer schema, or damaged; `source` names it in the message.
    """
    document = records.loads(text, source)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise TargetError(f'{source} is no saved snapshot: expected a JSON object with "format": "{FORMAT}"')
    schema = document.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise TargetError(f"{source} is a snapshot without a schema version; it is damaged")
    if schema > SCHEMA:
        raise TargetError(
            f"{source} is a snapshot of schema {schema}, and this vtdpi knows up to {SCHEMA}; use a newer vtdpi"
        )
    del document["format"], document["schema"]
    return records.build(Snapshot, document, source)
