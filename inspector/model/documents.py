"""The types of what `--json` prints, a document a command: of these the JSON Schemas are made.

Fields of decoded records have the specification's mnemonics, and come from the records themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from structs.bits import BitRecord
from structs.dmar import ATSR_FLAGS, DRHD_FLAGS, DRHD_SIZE, SATC_FLAGS, SCOPE_FLAGS, TABLE_FLAGS
from structs.faults import FRCD
from structs.invalidation import DESCRIPTOR
from structs.ioapic import RTE
from structs.irte import POSTED, REMAPPED
from structs.pi_desc import PI_DESC
from structs.registers import BY_NAME, REGISTERS


def fields(name: str, records: Iterable[BitRecord], **others: Any) -> Any:
    """A type with what is in `others`, and each field of the records, which may be left out."""
    named = {field.name: NotRequired[int] for record in records for field in record.fields}
    return TypedDict(name, {**named, **others})  # type: ignore[operator]


Value = int | str | bool | None | list[int | str | bool | None]
"""A member of a snapshot, as far as it is compared."""


class About(TypedDict):
    """Who answered, when (UTC, ISO 8601), and of which target, in words; null for what needs no target."""

    version: str
    time: str
    target: str | None


class Failure(TypedDict):
    """What went wrong: the line that stderr has, the exit status, and what the line is made of, where that is known."""

    message: str
    exit_status: int
    expected: NotRequired[str | list[str]]
    found: NotRequired[str]
    advice: NotRequired[str]
    address: NotRequired[int]


class Error(TypedDict):
    """Printed instead of an answer by whatever is asked for JSON."""

    error: Failure


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
    hpet: NotRequired[int]
    type: NotRequired[str]
    irq: NotRequired[int]
    segment: NotRequired[int]
    bdf: NotRequired[str]
    guest_vector: NotRequired[int]
    pi_desc: NotRequired[int]


if TYPE_CHECKING:
    Entry = dict[str, int | str | Source]
    Register = dict[str, int]
    Registers = dict[str, Register]
    QueueDescriptor = dict[str, int | str]
    Pin = dict[str, int | str]
    FaultStatus = dict[str, int]
    FaultRecord = dict[str, int | str | None]
    TableFlags = dict[str, int]
    StructureFlags = dict[str, int]
    WindowSize = dict[str, int]
    ScopeFlags = dict[str, int]
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
    FaultRecord = fields("FaultRecord", (FRCD,), record=int, meaning=str | None, index=int | None)
    TableFlags = fields("TableFlags", (TABLE_FLAGS,))
    StructureFlags = fields("StructureFlags", (DRHD_FLAGS, ATSR_FLAGS, SATC_FLAGS))
    WindowSize = fields("WindowSize", (DRHD_SIZE,))
    ScopeFlags = fields("ScopeFlags", (SCOPE_FLAGS,))


class Descriptor(TypedDict):
    """A posted-interrupt descriptor: its physical address, the vectors in PIR, its fields."""

    address: int
    pir: list[int]
    on: int
    sn: int
    nv: int
    ndst: int


class Finding(TypedDict):
    """What breaks a rule."""

    rule: str
    severity: Literal["bug", "warning", "info"]
    subject: str
    message: str
    suspicion: bool


class KvmState(TypedDict):
    """What KVM and the scheduler keep of a vCPU: see `inspector.model.kvm.KvmVcpu`."""

    thread: int | None
    mode: str | None
    loaded_on: int | None
    blocking: bool
    preempted: bool
    ready: bool
    runnable: bool | None
    on_cpu: bool | None
    exit_count: int | None
    wakes: bool | None


class VcpuState(TypedDict):
    """A vCPU, `d1v0`: its domain by name and number, and its own number there.

    `cpu`: the one that it runs on, or ran on last; `blocking_list`: the one on whose list of blocked vCPUs it is.
    `post`: what a post to it does now; `kvm` is there of KVM's only.
    """

    name: str
    domain: str
    domain_id: int
    vcpu_id: int
    cpu: int | None
    runstate: str
    blocked: bool
    pi: Descriptor | None
    blocking_list: int | None
    situation: str | None
    evidence: list[str]
    is_running: bool | None
    in_guest: bool | None
    pause_flags: int
    pause_count: int
    hooks: list[str]
    kvm: NotRequired[KvmState]
    findings: NotRequired[list[Finding]]
    post: NotRequired[list[str]]


class Table(TypedDict):
    """A unit's interrupt-remapping table: its place, how many entries it has, and those that are shown."""

    unit: int | None
    register_base: int
    irta: int | None
    base: int | None
    size: int | None
    eime: bool | None
    origin: str
    entries: list[Entry]


class Irt(TypedDict):
    """`irt`."""

    units: list[Table]


class OneEntry(TypedDict):
    """An entry of a unit, and its physical address; null where that is not known."""

    unit: int | None
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
    head_address: int
    locked: bool
    vcpus: list[str | None]
    nodes: list[int]
    broken: str | None


class Blocked(TypedDict):
    """`blocked`."""

    lists: list[BlockingList]


if TYPE_CHECKING:
    Pi = dict[str, int | str | list[int] | list[str] | None]
else:
    # A reserved field, where it is not zero, has a name that Python has not.
    _RESERVED = {field.name: NotRequired[int] for field in PI_DESC.fields if field.reserved}
    _PI = {"apic_id": int | None, "vcpu": str | None, "situation": str | None, "post": list[str]}
    Pi = TypedDict("Pi", {**Descriptor.__annotations__, **_RESERVED, **_PI, "bytes": NotRequired[str]})
    Pi.__doc__ = "`pi`."


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

    unit: int | None
    register_base: int
    registers: Registers


class Regs(TypedDict):
    """`regs`."""

    units: list[UnitRegisters]


class UnitQueue(TypedDict):
    """A unit's invalidation queue."""

    unit: int | None
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
    ioapic_id: int | None
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


class Score(TypedDict):
    """How many members of Xen's structures are known, how well."""

    proved: int
    consistent: int
    unknown: int


class Knowledge(TypedDict):
    """What is known of a Xen without a profile; `members` by name: proved, consistent or unknown."""

    compiler: NotRequired[str]
    built: NotRequired[str]
    changeset: NotRequired[str]
    efi: bool
    score: Score
    builds: list[str]
    members: dict[str, Literal["proved", "consistent", "unknown"]]


class Xen(TypedDict):
    """The Xen that was found; `knowledge` is null where a profile of it is known."""

    version: str | None
    build_id: str | None
    phys_start: int | None
    page_table: int | None
    cpus: list[Cpu]
    knowledge: Knowledge | None
    intremap: bool | None
    intpost: bool | None
    x2apic: bool | None
    posted_intr_vector: int | None
    pi_wakeup_vector: int | None


class Vm(TypedDict):
    """A VM of KVM's: the process that made it, its vCPUs, its irqfds, and how many of those are of devices."""

    name: str
    pid: int
    vcpu_count: int
    irqfd_count: int
    device_irq_count: int


class Linux(TypedDict):
    """The Linux that was found: the machine's own, or domain 0's above a Xen.

    `address` is where its image is, virtual; `phys_start` and `page_table` are physical; `symbol_count` and
    `type_count` are how many its kallsyms and its BTF have. Of one above a Xen the switches are null, and `cpus` are
    Xen's to tell.
    """

    release: str
    version: str
    build_id: str | None
    address: int
    phys_start: int | None
    page_table: int
    found_by: str
    symbol_count: int
    type_count: int
    above_xen: bool
    cpus: list[Cpu]
    intremap: bool | None
    intpost: bool | None
    x2apic: bool | None
    vms: list[Vm]


class UnitInfo(TypedDict):
    """A VT-d unit."""

    unit: int | None
    register_base: int
    irta: int | None
    base: int | None
    size: int | None
    eime: bool | None
    origin: str
    cap_pi: bool | None


class Info(TypedDict):
    """`info`."""

    target: str
    memory: int | None
    xen: Xen | None
    linux: Linux | None
    units: list[UnitInfo]


class UnitFaults(TypedDict):
    """A unit's fault status and records."""

    unit: int | None
    fsts: FaultStatus
    records: list[FaultRecord]


class FaultKind(TypedDict):
    """One kind of fault, joined with who has the device and what its entry is; see `inspector.analysis.faults`.

    `source_name`: what the device is, where more is known than its source-id; `entry_state`: what the entry is now.
    """

    unit: int | None
    segment: int
    bdf: str
    source_name: str | None
    owner: str | None
    reason: int | None
    meaning: str
    index: int | None
    address: int | None
    read: bool | None
    entry_state: str | None
    count: int
    first: str | None
    last: str | None
    pending: bool | None
    advice: str


class Trouble(TypedDict):
    """Other trouble with interrupts that Xen reported on its console; `log_line` is where it does first."""

    kind: str
    text: str
    cpu: int | None
    vector: int | None
    unit: int | None
    count: int
    first: str | None
    last: str | None
    log_line: int


class Faults(TypedDict):
    """`faults`: each unit's records, each kind of fault, and what else Xen reported."""

    units: list[UnitFaults]
    faults: list[FaultKind]
    messages: list[Trouble]


class CpuRegisters(TypedDict, total=False):
    """What is known of a CPU's registers."""

    rip: int
    rsp: int
    eflags: int
    cs: int
    cr3: int


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
    registers: CpuRegisters | None
    irr: list[int] | None
    isr: list[int] | None


class Cpus(TypedDict):
    """`cpus`."""

    cpus: list[PhysicalCpu]


class GuestPirq(TypedDict):
    """A domain that an interrupt is bound to."""

    domain: str
    domain_id: int
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
    masked: bool | None
    remote_irr: bool | None


class Irq(TypedDict):
    """An interrupt, joined of all that is known of it; `status` are the flags of Xen's `irq_desc`."""

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
    actions: list[str]
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
    """An interrupt end to end; `entry`, `vcpu` and `irq` where they are known, `fires` what happens if it fires now."""

    unit: int | None
    index: int | None
    entry: Entry | None
    source: Source | None
    vcpu: VcpuState | None
    irq: Irq | None
    fires: list[str]


class Route(TypedDict):
    """`route`. `vcpu` if it begins at one."""

    routes: list[RouteStep]
    vcpu: NotRequired[VcpuState]


class Change(TypedDict):
    """A member of the snapshot that differs; null is what is not there, or not known."""

    subject: str
    field: str
    before: Value
    after: Value


class Diff(TypedDict):
    """`diff`."""

    changes: list[Change]
    not_compared: list[str]


class PathHop(TypedDict):
    """A step of a scope's path."""

    device: int
    function: int


class DeviceScope(TypedDict):
    """A device that a structure is about: `name` by its type, null if unknown; `bdf` as boot messages tell it."""

    type: int
    name: str | None
    enumeration_id: int | None
    bdf: NotRequired[str]
    length: NotRequired[int]
    flags: NotRequired[ScopeFlags]
    reserved: NotRequired[int]
    start_bus: NotRequired[int]
    path: NotRequired[list[PathHop]]
    rest: NotRequired[str]


class DmarStructure(TypedDict):
    """A remapping structure: `name` by its type, null if that is unknown, and then `bytes`, in hex.

    Which members it has depends on its type; where boot messages tell of it, it has no type.
    """

    name: str | None
    type: NotRequired[int]
    bytes: NotRequired[str]
    flags: NotRequired[StructureFlags]
    size: NotRequired[WindowSize]
    segment: NotRequired[int]
    base: NotRequired[int | None]
    limit: NotRequired[int | None]
    reserved: NotRequired[int]
    proximity_domain: NotRequired[int | None]
    device_number: NotRequired[int]
    object_name: NotRequired[str]
    scopes: NotRequired[list[DeviceScope]]
    rest: NotRequired[str]


class Dmar(TypedDict):
    """`dmar`: the header's members, where the table itself was read, and its structures; `rest`: bytes after them."""

    structures: list[DmarStructure]
    address: NotRequired[int]
    signature: NotRequired[str]
    revision: NotRequired[int]
    oem_id: NotRequired[str]
    oem_table_id: NotRequired[str]
    oem_revision: NotRequired[int]
    creator_id: NotRequired[str]
    creator_revision: NotRequired[int]
    host_address_width: NotRequired[int]
    flags: NotRequired[TableFlags]
    reserved: NotRequired[int]
    checksum_ok: NotRequired[bool]
    rest: NotRequired[str]


class Event(TypedDict):
    """A step of the simulated machine: who, in which function, what, and the field before and after.

    `history_step` is its number in a replay's history, `step_name` what the logic calls it.
    """

    step: int
    actor: str
    cpu: NotRequired[int | None]
    function: str | None
    step_name: NotRequired[str | None]
    action: str
    subject: str | None
    field: str | None
    before: int | str | None
    after: int | str | None
    history_step: NotRequired[int]


class Stopped(TypedDict):
    """Where the simulated machine stopped: after which step, of a replay also of its history, at which break."""

    step: int
    where: str
    history_step: NotRequired[int]


class Events(TypedDict):
    """`step`, `run` and every order to a simulated machine."""

    events: list[Event]
    step_count: NotRequired[int]
    stopped: NotRequired[Stopped]


class Break(TypedDict):
    """Where a simulated machine stops."""

    number: int
    kind: Literal["function", "condition"]
    where: str
    hit_count: int


class Breaks(TypedDict):
    """`break` and `breaks`: all of them."""

    breaks: list[Break]


class Position(TypedDict):
    """`goto` and `undo`: the step at which the simulated machine now is; of `undo`, the commands, the last first.

    `history_step` is the step of a replay's history.
    """

    step: int
    history_step: NotRequired[int]
    undone: NotRequired[list[str]]


class BeforeAfter(TypedDict):
    """A field before and after: of a descriptor, the CPU whose blocking list or lock it is, or a domain's hook by the
    function's name."""

    before: int | list[int] | str | None
    after: int | list[int] | str | None


class Hit(TypedDict):
    """A transition. `domain`, `d1`, where it is the domain's posting hooks that changed.

    Of a function that was entered, `argument` is what it is called with, first, and `callers` are those asked for.
    """

    time: float
    kind: Literal["write", "hook"]
    cpu: int | None
    function: str | None
    vcpu: str | None
    changes: dict[str, BeforeAfter]
    line: NotRequired[str]
    situation: NotRequired[str]
    domain: NotRequired[str]
    argument: NotRequired[str]
    callers: NotRequired[list[str]]


class Trace(TypedDict):
    """`trace`. `time_unit` is that of the hits' `time`: seconds or steps.

    `left_out`: what was not watched for want of watchpoints.
    """

    time_unit: Literal["s", "steps"]
    ended: str
    hits: list[Hit]
    left_out: list[str]


class WatchedVcpu(VcpuState):
    """A vCPU at a look, and which of its members are not as at the look before."""

    changed: list[str]


class Watch(TypedDict):
    """`watch`: a document a look. `look`: the number of this one, from 1; 0 if none was taken.

    `stopped_seconds`: for how long a live machine stood still for it. `fresh`: the findings that the look before did
    not have. `suspicion_count`: how many there are besides that no second look has confirmed.
    """

    look: int
    findings: list[Finding]
    fresh: NotRequired[list[Finding]]
    suspicion_count: NotRequired[int]
    stopped_seconds: NotRequired[float | None]
    vcpus: NotRequired[list[WatchedVcpu]]
    lists: NotRequired[list[BlockingList]]


class Running(TypedDict):
    """`stop` and `cont`."""

    running: bool


class Refused(TypedDict):
    """A change of a trace that the logic does not make there, and why; `place` is which one."""

    place: int
    cpu: int
    function: str
    vcpu: str
    why: str


class SeenStep(TypedDict):
    """How often a step of the logic was seen."""

    function: str
    step_name: str
    count: int


class Snapshots(TypedDict):
    """`snapshot`: the names of those that are kept."""

    snapshots: list[str]


class Lines(TypedDict):
    """`history`: lines of the session; `first_number` is the number of the first that is here."""

    first_number: int
    lines: list[str]


class Set(TypedDict):
    """`set`, `show`, `unset`: settings as they are, as words; of a table each entry."""

    settings: dict[str, str | dict[str, str]]


class Open(TypedDict):
    """`open`: the target that is open now, and the one that was left for it."""

    opened: str
    left: str | None


class File(TypedDict):
    """What wrote a file: `core`, `report`, `save`, `checkpoint`."""

    file: str
    size: NotRequired[int]
    finding_count: NotRequired[int]
    snapshot_schema: NotRequired[int]
    vcpu_count: NotRequired[int]


class Expect(TypedDict):
    """`expect`."""

    command: str
    path: str
    found: Any
    expected: Any
    sign: Literal["==", "!=", "<", "<=", ">", ">=", "in", "=~"]


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


class Coverages(TypedDict):
    """`coverage`: how a trace of a real Xen fits the logic, and which steps and situations it shows.

    `hook_change_count`: how many changes of domains' posting hooks it has besides; the logic is not held against them.
    """

    version: str
    change_count: int
    hook_change_count: int
    accepted_count: int
    gap_count: int
    situation_counts: dict[str, int] | None
    refused: list[Refused]
    steps: list[SeenStep]
    stores: NotRequired[list[Hit]]


class Lab(TypedDict):
    """`lab up`: a machine that runs. One in Bochs has `kind`, `guest`, `posting` and `places`, no stub and no QMP."""

    name: str
    pid: int
    console: str
    image: str
    symbols: str | None
    gdb: NotRequired[str]
    qmp: NotRequired[str]
    control: NotRequired[str]
    serial: NotRequired[str]
    dom0: NotRequired[bool]
    linux: NotRequired[str]
    kind: NotRequired[Literal["hvm"]]
    guest: NotRequired[str]
    posting: NotRequired[bool]
    places: NotRequired[dict[str, int | str]]


class LabList(TypedDict):
    """`lab list`."""

    labs: list[Lab]


class ChangeOfLogic(TypedDict):
    """A bug, repair or variant of the logic that `explore` may be asked for."""

    kind: Literal["bug", "repair", "variant"]
    name: str
    title: str
    what: str
    mended: str | None
    scenario: str


class NamedTitle(TypedDict):
    """A scenario."""

    name: str
    title: str


class NamedProperty(TypedDict):
    """A property that is checked in every state."""

    name: str
    kind: str
    words: str


class Scenarios(TypedDict):
    """`sim --scenarios`: those to run, and those that `explore` is for."""

    run: list[NamedTitle]
    explored: list[NamedTitle]


class ExploreList(TypedDict):
    """`explore --list`."""

    changes: list[ChangeOfLogic]
    scenarios: list[NamedTitle]
    properties: list[NamedProperty]


class HistoryMove(TypedDict):
    """A move of a history: whose turn, or which order with which arguments; `choices` made in it."""

    turn: NotRequired[str]
    order: NotRequired[str]
    arguments: NotRequired[list[int | str | bool]]
    choices: NotRequired[list[int]]


class PropertyVerdict(TypedDict):
    """What became of a property; `without` the bugs that were asked for; `moves` of its shortest history."""

    name: str
    kind: str
    verdict: str
    without: str | None
    why: str | None
    moves: list[HistoryMove] | None


class Explore(TypedDict):
    """`explore`."""

    scenario: str
    version: str
    exhausted: bool
    stop_reason: str | None
    states: int
    transitions: int
    depth: int
    seconds: float
    bytes_per_state: float
    properties: list[PropertyVerdict]


FieldValue = bool | int | str | list[int] | None
"""A field of a vCPU in a history; see `inspector.explore.steps.State`."""


class VcpuAtStart(TypedDict):
    """A vCPU when a history begins: its fields and its situation."""

    fields: dict[str, FieldValue]
    situation: str | None


class FieldChange(TypedDict):
    """A field before and after a step."""

    before: FieldValue
    after: FieldValue


class HistoryStep(TypedDict):
    """A step of a history: what it changed, by vCPU and field, and where a vCPU then stands, if that changed."""

    step: int
    actor: str
    function: str
    action: str
    effect: str | None
    changes: dict[str, dict[str, FieldChange]]
    situations: dict[str, str | None]


class Fired(Finding):
    """A finding, and the step after which the audit first had it."""

    step: int


class History(TypedDict):
    """`explore --read`: what happens in a history.

    `property` and `why`: which one it breaks or shows, and how. `later`: how many steps later the machine is at rest,
    null if it does not come to rest; `lasting`: the audit's findings then. `fired`: with --audit-steps.
    """

    kind: Literal["vtdpi reading"]
    scenario: str
    version: str
    property: str | None
    why: str | None
    start: dict[str, VcpuAtStart]
    steps: list[HistoryStep]
    findings: list[Finding]
    later: int | None
    lasting: list[Finding]
    fired: list[Fired] | None
    crashed: str | None


class SurveyRow(TypedDict):
    """A file of a survey; see `inspector.batch.survey_row.Row`."""

    file: str
    size: int | None
    modified: str
    vtdpi_version: str
    target: str | None
    version: str | None
    build_id: str | None
    cpu_count: int
    vcpu_count: int
    blocked_count: int
    entry_count: int
    posted_count: int
    findings: list[Finding]
    checked: list[str]
    problems: list[str]
    seconds: float


class SurveyBuild(TypedDict):
    """A build of Xen: how many files have it, and how many of them a bug."""

    version: str | None
    build_id: str | None
    file_count: int
    bug_count: int


class CommonFinding(TypedDict):
    """A finding that files share: how many files and subjects have it, of which builds."""

    severity: str
    rule: str
    file_count: int
    subject_count: int
    builds: list[str]


class Survey(TypedDict):
    """`survey`; `left` are the files that were not looked at."""

    rows: list[SurveyRow]
    builds: list[SurveyBuild]
    findings: list[CommonFinding]
    left: list[str]


class SwarmSearch(TypedDict):
    """A search of a swarm: where it began, its bounds that are not 0, and what it visited."""

    search: int
    walked: int
    bounds: dict[str, int]
    states: int
    depth: int
    exhausted: bool
    stop_reason: str | None
    seconds: float
    broken_properties: list[str]


class SwarmBroken(TypedDict):
    """A property that is broken: by which searches, and the shortest history."""

    name: str
    searches: list[int]
    moves: list[HistoryMove]


class SwarmFailed(TypedDict):
    """A search that was not made, and why."""

    search: int
    why: str


class Swarm(TypedDict):
    """`explore --swarm`; `states` is an estimate if `states_error` is not 0."""

    scenario: str
    version: str
    exhausted: bool
    states: int
    states_error: float
    searches: list[SwarmSearch]
    broken: list[SwarmBroken]
    seen: list[str]
    not_seen: list[str]
    failed: list[SwarmFailed]
    left_count: int


class RunFailure(TypedDict):
    """Where a run failed, and the files it left; see `inspector.batch.run.RunFailure`."""

    step: int
    rule: str | None
    subject: str
    message: str
    file: str | None
    replay: str | None
    unkept: str | None


class RunOfCampaign(TypedDict):
    """A run: how far it came, how often each rule had a suspicion, and where it failed, if it did."""

    scenario: str
    seed: int
    step_count: int
    suspicion_counts: dict[str, int]
    failure: RunFailure | None


class RunNotMade(TypedDict):
    """A run that was not made, and why."""

    scenario: str
    seed: int
    why: str


class Campaign(TypedDict):
    """A campaign of simulated runs; `left_count` is how many were not made."""

    runs: list[RunOfCampaign]
    not_made: list[RunNotMade]
    left_count: int


ORDERS = ("step", "run", "post", "block", "wake", "sleep", "preempt", "migrate", "offline", "assign", "deassign")
DOCUMENTS: dict[str, Any] = {
    "audit": Audit,
    "blocked": Blocked,
    "campaign": Campaign,
    "cont": Running,
    "coverage": Coverages,
    "checkpoint": File,
    "core": File,
    "cpus": Cpus,
    "diff": Diff,
    "dmar": Dmar,
    "error": Error,
    "expect": Expect,
    "explain": Explain,
    "explore": Explore,
    "explore-list": ExploreList,
    "faults": Faults,
    "help": Help,
    "snapshot": Snapshots,
    "history": History,
    "info": Info,
    "ioapic": Ioapic,
    "irqs": Irqs,
    "irt": Irt,
    "irte": Irte,
    "lab": Lab,
    "lab-list": LabList,
    "lines": Lines,
    "open": Open,
    "pi": Pi,
    "queue": Queue,
    "regs": Regs,
    "report": File,
    "route": Route,
    "save": File,
    "scenarios": Scenarios,
    "show": Set,
    "stop": Running,
    "survey": Survey,
    "swarm": Swarm,
    "trace": Trace,
    "vcpus": Vcpus,
    "watch": Watch,
    **dict.fromkeys(ORDERS, Events),
    **dict.fromkeys(("undo", "goto"), Position),
    **dict.fromkeys(("break", "breaks"), Breaks),
}
"""The type of each document, by the name of its schema: for most, the command's."""
