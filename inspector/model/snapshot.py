"""Everything one look at a machine found, as plain data: what the commands show, the audit judges and a file keeps.

>>> snapshot = Snapshot(target="an example", version="4.20.3")
>>> loads(dumps(snapshot)) == snapshot
True
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Self

from inspector.base.errors import TargetError
from inspector.model import json_codec as records
from inspector.model.absence import NOT_PRINTED, UNREADABLE, Absence, lines
from inspector.model.deferred import Deferred, deferrable
from inspector.model.interrupts import Device, IoApic, Irq, Msi, Pin, Redirection
from inspector.model.kvm import Irqfd, KvmVcpu
from inspector.model.reports import FaultReport, Message
from inspector.model.vtd import Dmar, Structure, VtdUnit
from structs.frozen import frozen
from structs.registers import BY_NAME

Bit = Annotated[int, range(2)]
Byte = Annotated[int, range(1 << 8)]
"""A vector, or a priority."""
Word = Annotated[int, range(1 << 32)]
CpuNumber = Annotated[int, range(1 << 20)]
DomainId = Annotated[int, range(1 << 30)]
"""Xen's are below 1 << 15; of a VM of KVM's it is the process that made it, and which of that process's it is."""
PID_BITS = 22
"""Bits of a process's number (PID_MAX_LIMIT)."""
VcpuId = Annotated[int, range(1 << 14)]
VcpuIdOrSeveral = Annotated[int, range(-1, 1 << 14)]

if TYPE_CHECKING:
    from inspector.model.data_table import DataTable

SCHEMA = 3
"""The schema's version: it grows when a reader of the old one would misread the new one."""

FORMAT = "vtdpi snapshot"
LARGEST_TABLE, ENTRY = 1 << 16, 16
"""Entries of an interrupt-remapping table at most, and the bytes of one, and of a fault record."""
QUEUE_SIZES = (16, 32)
NOT_KNOWN = "unknown"
IDLE = "idle"
IN_XEN, IN_GUEST, IN_PV = "xen", "guest", "pv"
CRASHED, CRASHED_OR_IN_GUEST = "crashed", "crashed or guest"

BLOCK, SWITCH_FROM, SWITCH_TO, RESUME = "block", "switch_from", "switch_to", "resume"
MARKER = (1 << 32) - 1
"""NDST of a vCPU that no hook has seen yet (Xen 4.9 and later); as `dirty_cpu`: on no CPU (VCPU_CPU_CLEAN)."""


def vm_name(number: int) -> str:
    """A VM as it is called: `vm1234` by the process that made it, `vm1234.1` the second one of that process."""
    which = number >> PID_BITS
    return f"vm{number & (1 << PID_BITS) - 1}" + (f".{which}" if which else "")


@frozen
class Descriptor:
    """A posted-interrupt descriptor: physical address, the vectors in PIR, its fields, its reserved bits in place."""

    address: int
    pir: tuple[Byte, ...]
    on: Bit
    sn: Bit
    nv: Byte
    ndst: Word
    reserved: int = 0


@frozen
class Vcpu:
    """One vCPU. Addresses are Xen's virtual ones unless said otherwise; None is what could not be read.

    Attributes:
        runstate: `running`, `runnable`, `blocked` or `offline`; `unknown` (NOT_KNOWN) while Xen is writing it.
        cpu: the one that it runs on, or ran on last.
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
        event_pending, event_masked: whether an event channel's upcall is pending, and whether it is masked.
        vmcs_pi: the physical address of a descriptor that its VMCS page holds.
        kvm: what KVM keeps of it; None if it is Xen's. Then `domain` is its VM's, `address` that of `struct kvm_vcpu`,
            `node` is `pi_wakeup_list`, and what is Xen's own is left empty.
    """

    domain: DomainId
    vcpu: VcpuId
    address: int = 0
    hvm: bool = False
    cpu: CpuNumber | None = None
    runstate: str = ""
    is_running: bool | None = None
    pause_flags: Word = 0
    pause_count: int = 0
    dirty_cpu: Word | None = None
    since: int | None = None
    in_guest: bool | None = None
    hooks: tuple[str, ...] = ()
    pi: Descriptor | None = None
    node: int = 0
    following: int = 0
    preceding: int = 0
    lock: int = 0
    blocking_list: CpuNumber | None = None
    irr: tuple[Byte, ...] | None = None
    isr: tuple[Byte, ...] | None = None
    tpr: Byte | None = None
    ppr: Byte | None = None
    apic_off: bool | None = None
    interruptible: bool | None = None
    polling: bool | None = None
    event_pending: bool | None = None
    event_masked: bool | None = None
    vmcs_pi: int | None = None
    kvm: KvmVcpu | None = None

    @property
    def name(self) -> str:
        """`d1v2`; of KVM's `vm1234v0`."""
        return f"{self.domain_name}v{self.vcpu}"

    @property
    def domain_name(self) -> str:
        """`d1`; of KVM's `vm1234`."""
        return vm_name(self.domain) if self.kvm else f"d{self.domain}"

    @property
    def blocked(self) -> bool:
        """VPF_blocked, or that KVM waits for an event of it: it waits for an event."""
        return self.kvm.blocking if self.kvm else bool(self.pause_flags & 1)


@frozen
class Cpu:
    """A physical CPU as Xen counts it.

    Attributes:
        offset: of its per-CPU area (`__per_cpu_offset[]`), None if it has none.
        softirqs: its pending softirqs, a bit each.
        current: the vCPU that it runs, `idle`, or None if not known.
        loaded: the vCPU whose state it holds (`curr_vcpu`), which a lazy switch leaves behind.
        mode: what its registers say that it executes: `xen`, `guest` (VMX non-root), `pv`
            (a paravirtualised guest), `idle`. In a crash dump, before it was stopped; there also `crashed` for the one
            that crashed, and `crashed or guest` where that cannot be told from one that was stopped in a guest.
        rip, rsp, eflags, cs, cr3: its registers, as far as the target knows them.
        function: what of Xen it executes, `default_idle+0xc5`.
        backtrace: the functions that the return addresses on its stack lie in, innermost first; stale ones may be
            among them.
        between_steps: whether it may be in the middle of a change to descriptors, lists or entries, by what it
            executes and by all that its stack holds; None if that cannot be told.
        in_mwait: whether it waits in MWAIT, by `irq_stat[].in_mwait`; None if this build does not keep that.
        irr, isr: vectors in its local APIC.
        interruptible: RFLAGS.IF of the vCPU whose state it holds, when that last left the guest.
        posted_msi: a Linux's own descriptor of this CPU, to which entries of devices' MSIs post (`posted_msi_pi_desc`).
    """

    cpu: CpuNumber
    apic_id: Word
    online: bool = True
    offset: int | None = None
    softirqs: int | None = None
    current: str | None = None
    loaded: str | None = None
    mode: str | None = None
    rip: int | None = None
    rsp: int | None = None
    eflags: int | None = None
    cs: int | None = None
    cr3: int | None = None
    function: str | None = None
    backtrace: tuple[str, ...] = ()
    between_steps: bool | None = None
    in_mwait: bool | None = None
    irr: tuple[Byte, ...] | None = None
    isr: tuple[Byte, ...] | None = None
    interruptible: bool | None = None
    posted_msi: Descriptor | None = None

    @property
    def in_guest(self) -> bool | None:
        """Whether it executes a hardware-virtualised guest; None if not known."""
        return None if self.mode in (None, CRASHED_OR_IN_GUEST) else self.mode == IN_GUEST


@frozen
class Node:
    """A node of a blocking list, the vCPU that it belongs to if it is any's, and its pointers."""

    address: int
    vcpu: str | None
    following: int
    preceding: int


@frozen
class BlockingList:
    """A CPU's list of blocked vCPUs, in order; `broken` says why it ends early.

    Xen's is `per_cpu(vmx_pi_blocking, cpu)`, KVM's `wakeup_vcpus_on_cpu`.
    """

    cpu: CpuNumber
    head: int
    lock: int
    locked: bool
    following: int
    preceding: int
    nodes: tuple[Node, ...] = ()
    broken: str | None = None


@frozen
class Binding:
    """A guest's MSI bound to a host interrupt (`hvm_pirq_dpci`). `vcpu` is its destination, -1 if several."""

    irq: Word
    gvec: Byte
    vcpu: VcpuIdOrSeveral
    posted: bool


@frozen
class Domain:
    """A domain, or a VM of KVM's.

    Attributes:
        devices: its PCI devices, seg << 16 | bus << 8 | devfn.
        bindings: its MSIs as Xen has bound them; None where not known.
        irqfds: of a VM, with which devices and user space raise interrupts; None for a domain of Xen's.
        assigned: of a VM, how many devices' interrupts may be posted; None where not known.
    """

    domain: DomainId
    address: int = 0
    hvm: bool = False
    pause_count: int = 0
    dying: int = 0
    devices: tuple[int, ...] = ()
    bindings: tuple[Binding, ...] | None = None
    irqfds: tuple[Irqfd, ...] | None = None
    assigned: int | None = None

    @property
    def name(self) -> str:
        """`d1`; a VM's `vm1234`."""
        return f"d{self.domain}" if self.irqfds is None else vm_name(self.domain)


@frozen
class Pirq:
    """An irq of a paravirtualised Linux that Xen raises: its number there, Xen's (`pirq`), and who handles it."""

    irq: int
    pirq: int
    action: str = ""


@frozen
class Kernel:
    """A Linux: the machine's own, or domain 0's above a Xen.

    Attributes:
        release: `6.12.74+deb13-amd64`.
        version: `#1 SMP PREEMPT_DYNAMIC Debian ...`, empty if it is not known.
        text: the virtual address where its image starts, which KASLR moves; `phys_start` the physical one, None where
            it has none of its own (above a Xen).
        page_table: `swapper_pg_dir` or another table that maps it, physical.
        found_by: what led to it.
        symbols, types: how many its kallsyms and its BTF have.
        build_id: in hex, None if it is not known.
        pirqs: above a Xen, its irqs that Xen raises.
    """

    release: str
    version: str = ""
    text: int = 0
    phys_start: int | None = None
    page_table: int = 0
    found_by: str = ""
    symbols: int = 0
    types: int = 0
    build_id: str | None = None
    pirqs: tuple[Pirq, ...] = ()


@deferrable
@frozen
class Snapshot(Deferred):
    """One look at a machine: all that commands read, the audit judges and a file keeps. None is what is not known.

    Attributes:
        memory: bytes of RAM, and `ranges` in how many pieces; None where that is not known.
        phys_start: where Xen's image lies, and `page_table` its `idle_pg_table`: physical addresses.
        msis, pins: who uses which remapping index, as Xen keeps it.
        ioapics: the IO-APICs, with their redirection tables where registers were read.
        dmar: the ACPI DMAR table.
        beside: Xen is executed elsewhere than on its CPUs, as a simulation's control domain does.
        absent: what could not be read, or is not there to read; what is a unit's own is with the unit.
        irqs: every irq that Xen has set up.
        redirections: pins as Xen prints them, where no register was read.
        devices: PCI devices and who has them, also those that no domain has.
        faults, messages: what Xen reported on its console.
        described: what boot messages tell of the DMAR table.
        kernel: the Linux that is there: the machine's own, or, above a Xen, domain 0's, which is looked for only when
            this member is asked for.
    """

    target: str
    version: str | None = None
    build_id: str | None = None
    intremap: bool | None = None
    intpost: bool | None = None
    x2apic: bool | None = None
    posted_intr_vector: Byte | None = None
    pi_wakeup_vector: Byte | None = None
    cpus: tuple[Cpu, ...] = ()
    lists: tuple[BlockingList, ...] = ()
    domains: tuple[Domain, ...] = ()
    vcpus: tuple[Vcpu, ...] = ()
    units: tuple[VtdUnit, ...] = ()
    msis: tuple[Msi, ...] = ()
    pins: tuple[Pin, ...] = ()
    beside: bool = False
    memory: int | None = None
    ranges: int | None = None
    phys_start: int | None = None
    page_table: int | None = None
    ioapics: tuple[IoApic, ...] = ()
    dmar: Dmar | None = None
    absent: tuple[Absence, ...] = ()
    irqs: tuple[Irq, ...] = ()
    redirections: tuple[Redirection, ...] = ()
    devices: tuple[Device, ...] = ()
    faults: tuple[FaultReport, ...] = ()
    messages: tuple[Message, ...] = ()
    described: tuple[Structure, ...] = ()
    kernel: Kernel | None = None

    @property
    def is_linux(self) -> bool:
        """Whether the machine's interrupts are a Linux's own: no Xen is there, and a Linux is."""
        return not self.version and not self.build_id and self.kernel is not None

    @property
    def host(self) -> str:
        """What owns the machine's interrupts, for sentences: `Xen`, or `Linux`; `Xen` too where neither is known."""
        return "Linux" if self.is_linux else "Xen"

    @property
    def absences(self) -> tuple[Absence, ...]:
        """Everything that is absent, as far as it was read: the machine's own, then each unit's."""
        units = self.units if self.has_read("units") else ()
        return (*self.absent, *(absence for unit in units for absence in unit.absent))

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read though it should be there, a line each."""
        return lines(self.absences)

    def __repr__(self) -> str:
        return f"<snapshot of {self.target}>"

    def _repr_html_(self) -> str:
        """What a notebook cell prints: the vCPUs, and the units."""
        from inspector.model.notebook import html_table, html_text

        units = [(unit.name, unit.registers_at, str(len(unit.indices))) for unit in self.units]
        table = html_table(("unit", "registers", "present entries"), units, "VT-d units")
        return html_text(repr(self)) + self.vcpu_table()._repr_html_() + table

    def irt(self) -> DataTable:
        """The present entries of the remapping tables as columns: `unit`, `index`, `format`, and each field."""
        from inspector.model.tables import irt

        return irt(self)

    def vcpu_table(self) -> DataTable:
        """The vCPUs as columns, with the fields of their descriptors."""
        from inspector.model.tables import vcpus

        return vcpus(self)

    def complete(self) -> Self:
        """The same, with every part of it read: of this moment, whatever the machine does from now on."""
        for unit in super().complete().units:
            unit.complete()
        self.is_linux  # noqa: B018 - without a Xen, what Linux it is belongs to it
        return self

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
    def by_apic(self) -> dict[int | None, Cpu]:
        """The CPUs by APIC ID; of several the first."""
        return {cpu.apic_id: cpu for cpu in reversed(self.cpus)}

    @cached_property
    def by_loaded(self) -> dict[str | None, Cpu]:
        """The CPUs by the vCPU whose state they hold; of several the first."""
        return {cpu.loaded: cpu for cpu in reversed(self.cpus)}

    @cached_property
    def online(self) -> tuple[Cpu, ...]:
        """The CPUs that are online."""
        return tuple(cpu for cpu in self.cpus if cpu.online)

    @cached_property
    def linux_release(self) -> tuple[int, int] | None:
        """The Linux's version as (major, minor)."""
        parts = (self.kernel.release if self.kernel else "").split(".")
        return (int(parts[0]), int(parts[1])) if len(parts) > 1 and all(map(str.isdecimal, parts[:2])) else None

    @cached_property
    def release(self) -> tuple[int, int] | None:
        """Xen's version as (major, minor)."""
        parts = (self.version or "").split(".")
        if len(parts) < 2 or not parts[0].isdigit():
            return None
        minor = "".join(c for c in parts[1][:2] if c.isdigit())
        return (int(parts[0]), int(minor)) if minor else None


def is_log(snapshot: Snapshot) -> bool:
    """Whether it is of a console log: no descriptor is in it, for no debug key prints one."""
    return any(absence.kind == NOT_PRINTED and absence.member == "pi" for absence in snapshot.absences)


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
    _modernise(document, schema)
    snapshot = records.build(Snapshot, document, source)
    if wrong := next(contradictions(snapshot), None):
        raise TargetError(f"{source}: {wrong}; the file is damaged")
    return snapshot


def _modernise(document: dict[str, Any], schema: int) -> None:
    """Have a document of an older schema as the newest has it: 1 told `problems`, 1 and 2 a vCPU's `processor`."""
    if schema == 1 and isinstance(problems := document.pop("problems", []), list):
        document["absent"] = [{"kind": UNREADABLE, "subject": "machine", "why": line} for line in problems]
    if schema < 3 and isinstance(vcpus := document.get("vcpus"), list):
        for vcpu in vcpus:
            if isinstance(vcpu, dict) and "processor" in vcpu:
                vcpu["cpu"] = vcpu.pop("processor")


def contradictions(snapshot: Snapshot) -> Iterator[str]:
    """What cannot be so, a line each: parts of a snapshot that do not fit each other."""
    for name, count in Counter(vcpu.name for vcpu in snapshot.vcpus).items():
        if count > 1:
            yield f"vCPU {name} is there {count} times"
    for cpu, count in Counter(cpu.cpu for cpu in snapshot.cpus).items():
        if count > 1:
            yield f"CPU {cpu} is there {count} times"
    for vcpu in snapshot.vcpus:
        if vcpu.pi and vcpu.pi.pir != tuple(sorted(set(vcpu.pi.pir))):
            yield f"{vcpu.name}: the vectors of its PIR are not ascending"
    for unit in snapshot.units:
        yield from _of_unit(unit)


def _of_unit(unit: VtdUnit) -> Iterator[str]:
    if unit.size > LARGEST_TABLE or unit.size & unit.size - 1:
        yield f"{unit.name}: a table of {unit.size} entries, which is no power of two up to {LARGEST_TABLE}"
    for indices, raw in ((unit.indices, unit.raw), (unit.stale_indices, unit.stale_raw)):
        if len(raw) != ENTRY * len(indices):
            yield f"{unit.name}: {len(indices)} entries in {len(raw)} bytes"
        if any(a >= b for a, b in pairwise(indices)):
            yield f"{unit.name}: the indices of its entries are not ascending"
        if indices and indices[-1] >= (unit.size or LARGEST_TABLE):
            yield f"{unit.name}: entry {indices[-1]:#x} in a table of {unit.size or LARGEST_TABLE:#x}"
    if any(gap.first + gap.count > LARGEST_TABLE for gap in unit.gaps):
        yield f"{unit.name}: entries that could not be read beyond the table's end"
    if len(unit.frcd) % ENTRY:
        yield f"{unit.name}: fault records of {len(unit.frcd)} bytes"
    if unit.queue and (unit.queue.size not in QUEUE_SIZES or len(unit.queue.raw) % unit.queue.size):
        yield f"{unit.name}: a queue of {len(unit.queue.raw)} bytes with descriptors of {unit.queue.size}"
    for register in unit.registers:
        if register.name not in BY_NAME or register.value >> 8 * BY_NAME[register.name].size:
            yield f"{unit.name}: register {register.name} = {register.value:#x}, of which there is none"
