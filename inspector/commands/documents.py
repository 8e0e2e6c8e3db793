"""The types of what `--json` prints, a document a command: of these the JSON Schemas are made.

Fields of decoded records have the specification's mnemonics, and come from the records themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from structs.bits import BitRecord
from structs.faults import FRCD
from structs.invalidation import DESCRIPTOR
from structs.ioapic import RTE
from structs.irte import POSTED, REMAPPED
from structs.registers import BY_NAME, REGISTERS


def fields(name: str, records: Iterable[BitRecord], **others: Any) -> Any:
    """A type with what is in `others`, and each field of the records, which may be left out."""
    named = {field.name: NotRequired[int] for record in records for field in record.fields}
    return TypedDict(name, {**named, **others})  # type: ignore[operator]


class Absent(TypedDict):
    """Something that is not in the answer, and why."""

    kind: Literal["unreadable", "not applicable here", "not printed by this source"]
    subject: str
    why: str
    address: NotRequired[int]
    member: NotRequired[str]


class Source(TypedDict):
    """What uses a remapping entry, as far as it is known."""

    kind: Literal["ioapic", "hpet", "msi", "device", "any"]
    ioapic_id: NotRequired[int]
    ioapic: NotRequired[int]
    pin: NotRequired[int]
    number: NotRequired[int]
    type: NotRequired[str]
    irq: NotRequired[int]
    segment: NotRequired[int]
    bdf: NotRequired[str]
    gvec: NotRequired[int]
    pi_desc: NotRequired[int]


if TYPE_CHECKING:
    Entry = dict[str, Any]
    Registers = dict[str, Any]
    QueueDescriptor = dict[str, Any]
    Pin = dict[str, Any]
    FaultStatus = dict[str, Any]
    FaultRecord = dict[str, Any]
else:
    # mypy knows only types that are written out.
    _ENTRY = {"index": int, "format": Literal["remapped", "posted"], "source": NotRequired[Source]}
    Entry = fields("Entry", (REMAPPED, POSTED), **_ENTRY)
    _REGISTERS = {
        each.name.lower(): NotRequired[fields(f"Register{each.name}", (each.record,), value=int)] for each in REGISTERS
    }
    Registers = TypedDict("Registers", _REGISTERS)
    QueueDescriptor = fields(
        "QueueDescriptor", DESCRIPTOR.records, slot=int, state=str, kind=str, undecoded=NotRequired[int]
    )
    Pin = fields("Pin", RTE.records, pin=int, value=NotRequired[int], format=NotRequired[str])
    FaultStatus = fields("FaultStatus", (BY_NAME["FSTS"].record,), value=int)
    FaultRecord = fields("FaultRecord", (FRCD,), record=int, reason=str | None, index=int | None)


class Descriptor(TypedDict):
    """A posted-interrupt descriptor: its physical address, the vectors in PIR, its fields."""

    address: int
    pir: list[int]
    on: int
    sn: int
    nv: int
    ndst: int


class VcpuState(TypedDict):
    """A vCPU."""

    domain: int
    vcpu: int
    processor: int | None
    runstate: str
    blocked: bool
    pi: Descriptor | None
    blocking_list: int | None
    situation: str | None
    evidence: list[str]
    is_running: bool | None
    in_guest_mode: bool | None
    pause_flags: int
    pause_count: int
    hooks: list[str]
    findings: NotRequired[list[str]]
    post: NotRequired[list[str]]


class Table(TypedDict):
    """A unit's interrupt-remapping table: its place, how many entries it has, and those that are shown."""

    index: int | None
    register_base: int
    irta: int | None
    base: int | None
    size: int | None
    eime: int | None
    origin: str
    entries: list[Entry]


class Irt(TypedDict):
    """`irt`."""

    units: list[Table]


class OneEntry(TypedDict):
    """An entry of a unit, and its physical address; 0 where that is not known."""

    index: int | None
    address: int | None
    entry: Entry


class Irte(TypedDict):
    """`irte`."""

    units: list[OneEntry]


class Vcpus(TypedDict):
    """`vcpus`."""

    vcpus: list[VcpuState]


class BlockingList(TypedDict):
    """A CPU's list of blocked vCPUs."""

    cpu: int
    online: bool | None
    head: int
    locked: bool
    vcpus: list[str | None]
    nodes: list[int]
    broken: str | None


class Blocked(TypedDict):
    """`blocked`."""

    lists: list[BlockingList]


Pi = fields(
    "Pi",
    (),
    **Descriptor.__annotations__,
    apic_id=int | None,
    vcpu=str | None,
    situation=str | None,
    post=list[str],
    bytes=NotRequired[str],
)


class Finding(TypedDict):
    """What breaks a rule."""

    rule: str
    severity: Literal["bug", "warning", "info"]
    subject: str
    message: str
    suspicion: bool


class NotChecked(TypedDict):
    """A rule that could not be checked here, and what it needs."""

    rule: str
    needs: str


class Coverage(TypedDict):
    """What a verdict rests on."""

    checked: list[str]
    not_checked: list[NotChecked]
    other_versions: list[str]


class Audit(TypedDict):
    """`audit`."""

    findings: list[Finding]
    coverage: Coverage


class UnitRegisters(TypedDict):
    """A unit's registers."""

    index: int | None
    register_base: int
    registers: Registers


class Regs(TypedDict):
    """`regs`."""

    units: list[UnitRegisters]


class UnitQueue(TypedDict):
    """A unit's invalidation queue."""

    index: int | None
    base: int
    slots: int
    descriptor_size: int
    head: int | None
    tail: int | None
    descriptors: list[QueueDescriptor]


class Queue(TypedDict):
    """`queue`."""

    units: list[UnitQueue]


class IoApic(TypedDict):
    """An IO-APIC's redirection table."""

    ioapic: int
    id: int | None
    version: int | None
    unit: int | None
    entries: list[Pin]


class Ioapic(TypedDict):
    """`ioapic`."""

    ioapics: list[IoApic]


class Cpu(TypedDict):
    """A CPU by Xen's number, and its APIC ID."""

    cpu: int
    apic_id: int


class Xen(TypedDict):
    """The Xen that was found."""

    version: str | None
    build_id: str | None
    phys_start: int | None
    page_table: int | None
    cpus: list[Cpu]
    knowledge: NotRequired[Any]
    iommu_intremap: int | None
    iommu_intpost: int | None
    x2apic_enabled: int | None
    posted_intr_vector: int | None
    pi_wakeup_vector: int | None


class UnitInfo(TypedDict):
    """A VT-d unit."""

    index: int | None
    register_base: int
    irta: int | None
    base: int | None
    size: int | None
    eime: int | None
    origin: str
    cap_pi: int | None


class Info(TypedDict):
    """`info`."""

    target: str
    memory: int | None
    xen: Xen | None
    units: list[UnitInfo]


class UnitFaults(TypedDict):
    """A unit's fault status and records."""

    index: int | None
    fsts: FaultStatus
    records: list[FaultRecord]


class Faults(TypedDict):
    """`faults`. `faults` are joined with who uses the entry, `messages` what Xen said of them."""

    units: list[UnitFaults]
    faults: list[dict[str, Any]]
    messages: list[Any]


class PhysicalCpu(TypedDict):
    """What a CPU does."""

    cpu: int
    apic_id: int
    online: bool
    mode: str | None
    current: str | None
    loaded: str | None
    function: str | None
    backtrace: list[str]
    between_steps: NotRequired[bool | None]
    in_mwait: NotRequired[bool | None]
    softirqs: list[str] | None
    registers: dict[str, int] | None
    irr: list[int] | None
    isr: list[int] | None


class Cpus(TypedDict):
    """`cpus`."""

    cpus: list[PhysicalCpu]


class GuestPirq(TypedDict):
    """A domain that an interrupt is bound to."""

    domain: int
    pirq: int | None
    pending: bool | None
    masked: bool | None
    pirq_masked: bool | None


class Masks(TypedDict):
    """Who masks an MSI."""

    xen: bool | None
    guest: bool | None
    device: bool | None


class PinState(TypedDict):
    """The IO-APIC's pin of an interrupt."""

    ioapic: int
    pin: int
    mask: int | None
    irr: int | None


class Irq(TypedDict):
    """An interrupt, joined of all that is known of it."""

    irq: int | None
    type: str | None
    source: Source | None
    owner: str | None
    unit: int | None
    index: int | None
    format: str | None
    vector: int | None
    guest_vector: int | None
    vcpu: str | None
    cpus: list[int] | None
    affinity: list[int] | None
    status: int | None
    taken_by: str
    guests: list[GuestPirq]
    in_flight: int | None
    masked_by: list[str]
    pending: list[str]
    masks: Masks | None
    pin: PinState | None


class Irqs(TypedDict):
    """`irqs`."""

    irqs: list[Irq]


class RouteStep(TypedDict):
    """An interrupt end to end; `entry` and `irq` where they are known, `fires` what happens if it fires now."""

    unit: NotRequired[int | None]
    entry: NotRequired[Entry]
    source: NotRequired[Source | None]
    vcpu: NotRequired[VcpuState | str | None]
    irq: NotRequired[Irq | int | None]
    fires: list[str]
    type: NotRequired[str | None]
    owner: NotRequired[str | None]
    index: NotRequired[int | None]
    format: NotRequired[str | None]
    vector: NotRequired[int | None]
    guest_vector: NotRequired[int | None]
    cpus: NotRequired[list[int] | None]
    affinity: NotRequired[list[int] | None]
    status: NotRequired[int | None]
    taken_by: NotRequired[str]
    guests: NotRequired[list[GuestPirq]]
    in_flight: NotRequired[int | None]
    masked_by: NotRequired[list[str]]
    pending: NotRequired[list[str]]
    masks: NotRequired[Masks | None]
    pin: NotRequired[PinState | None]


class Route(TypedDict):
    """`route`. `vcpu` if it begins at one."""

    routes: list[RouteStep]
    vcpu: NotRequired[VcpuState]


class Change(TypedDict):
    """A member of the snapshot that differs."""

    subject: str
    field: str
    before: Any
    after: Any


class Diff(TypedDict):
    """`diff`."""

    changes: list[Change]
    not_compared: list[str]


class Dmar(TypedDict):
    """`dmar`: the header's members, where the table itself was read, and its structures."""

    structures: list[dict[str, Any]]
    address: NotRequired[int]
    signature: NotRequired[str]
    revision: NotRequired[int]
    oem_id: NotRequired[str]
    oem_table_id: NotRequired[str]
    oem_revision: NotRequired[int]
    creator_id: NotRequired[str]
    creator_revision: NotRequired[int]
    host_address_width: NotRequired[int]
    flags: NotRequired[dict[str, int]]
    reserved: NotRequired[str]
    checksum_ok: NotRequired[bool]
    undecoded: NotRequired[str]


class Event(TypedDict):
    """A step of the simulated machine: who, in which function, what, and the field before and after."""

    number: int
    actor: str
    cpu: NotRequired[int | None]
    function: str | None
    step: NotRequired[str | None]
    action: str
    subject: str | None
    field: str | None
    before: Any
    after: Any
    history: NotRequired[int]


class Events(TypedDict):
    """`step`, `run` and every order to a simulated machine."""

    events: list[Event]
    steps: NotRequired[int]


class BeforeAfter(TypedDict):
    """A field of a descriptor, or the CPU whose blocking list or lock it is, before and after."""

    before: int | list[int] | None
    after: int | list[int] | None


class Hit(TypedDict):
    """A transition."""

    time: float
    kind: Literal["write", "hook"]
    cpu: int | None
    function: str | None
    vcpu: str | None
    changes: dict[str, BeforeAfter]
    line: NotRequired[str]
    situation: NotRequired[str]


class Trace(TypedDict):
    """`trace`. `unit` of the times: seconds or steps."""

    unit: Literal["s", "steps"]
    ended: str
    hits: list[Hit]


class WatchFinding(TypedDict):
    """What the audit said at the last look."""

    rule: str
    severity: str
    subject: str


class Watch(TypedDict):
    """`watch`."""

    looks: int
    findings: list[WatchFinding]


class Running(TypedDict):
    """`stop` and `cont`."""

    running: bool


class File(TypedDict):
    """What wrote a file: `core`, `report`, `save`."""

    file: str
    bytes: NotRequired[int]
    findings: NotRequired[int]
    snapshot_schema: NotRequired[int]
    vcpus: NotRequired[int]


class Expect(TypedDict):
    """`expect`."""

    command: list[str]
    path: str
    found: Any
    expected: Any
    sign: Literal["==", "!="]


class RuleTitle(TypedDict):
    """A rule in the list of all."""

    rule: str
    name: str
    severity: str
    title: str


class TermTitle(TypedDict):
    """A situation, hazard or mended bug in the list of all."""

    term: str
    kind: str
    title: str


class FieldOfRecord(TypedDict):
    """Where a record has a field."""

    record: str
    source: str
    bits: str
    meaning: str


class Explain(TypedDict):
    """`explain`: a rule, a term, a field, or the list of all."""

    rules: NotRequired[list[RuleTitle]]
    terms: NotRequired[list[TermTitle]]
    rule: NotRequired[str]
    term: NotRequired[str]
    name: NotRequired[str]
    kind: NotRequired[str]
    title: NotRequired[str]
    severity: NotRequired[str]
    versions: NotRequired[str | None]
    explanation: NotRequired[str]
    field: NotRequired[str]
    records: NotRequired[list[FieldOfRecord]]


class Help(TypedDict):
    """`help`: the list of commands, or one."""

    commands: NotRequired[dict[str, str]]
    aliases: NotRequired[dict[str, str]]
    command: NotRequired[str]
    help: NotRequired[str]
    alias: NotRequired[str]


ORDERS = ("step", "run", "post", "block", "wake", "sleep", "preempt", "migrate", "offline", "assign", "deassign")
DOCUMENTS: dict[str, Any] = {
    "audit": Audit,
    "blocked": Blocked,
    "cont": Running,
    "core": File,
    "cpus": Cpus,
    "diff": Diff,
    "dmar": Dmar,
    "expect": Expect,
    "explain": Explain,
    "faults": Faults,
    "help": Help,
    "info": Info,
    "ioapic": Ioapic,
    "irqs": Irqs,
    "irt": Irt,
    "irte": Irte,
    "pi": Pi,
    "queue": Queue,
    "regs": Regs,
    "report": File,
    "route": Route,
    "save": File,
    "stop": Running,
    "trace": Trace,
    "vcpus": Vcpus,
    "watch": Watch,
    **dict.fromkeys(ORDERS, Events),
}
"""The type of each command's document."""
