"""What Xen keeps of each physical CPU: the vCPU it runs, the one whose state it holds, guest mode, pending softirqs;
its list of blocked vCPUs, in list order and with its integrity.

Sources: `__per_cpu_offset`, `cpu_online_map`, `curr_vcpu`, `struct cpu_info` at the top of a CPU's stack, `irq_stat`;
`vmx_pi_blocking`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from inspector.base.errors import UNREADABLE
from inspector.kernels.paging import ADDRESS, PageTables
from inspector.model.absence import Absence, unreadable
from inspector.model.snapshot import IDLE, IN_GUEST, IN_PV, IN_XEN, BlockingList, Cpu, Node, Vcpu
from inspector.targets.target import Cpu as Registers
from inspector.xen import functions, shootdown
from inspector.xen.xen import Xen, image_base
from structs.pi_desc import vectors
from structs.xen import variants

CPUS_LIMIT = 4096
BAD_APICID = (1 << 32) - 1
MASK64 = (1 << 64) - 1

STACK_SIZE = 0x8000
IRQ_STAT_SIZE = 128
"""Of `irq_cpustat_t`, a cache line of Xen's (SMP_CACHE_BYTES); its first member is `__softirq_pending`."""

RESET = (0xFFF0, 0xF000)
"""rip and cs of a CPU after a reset."""

RFLAGS = "guest_cpu_user_regs.rflags"
RFLAGS_1, RFLAGS_IF = 1 << 1, 1 << 9

LISTS = "per_cpu__vmx_pi_blocking"
LIST = "vmx_pi_blocking_vcpu"
TICKETS = (1 << 16) - 1
SPARE = 64
"""Nodes that a list may have beyond one for each vCPU before it is said not to end."""


def cpus(xen: Xen, vcpus: Sequence[Vcpu], absent: list[Absence]) -> list[Cpu]:
    """Every CPU that is online, or is not and still has a per-CPU area, in order.

    What cannot be read of one is None there, and told in `absent`.

    Raises:
        NotMapped, NotReadable, ProfileError: not even which CPUs are online can be read.
    """
    count = min(xen.variable("nr_cpu_ids", 4), CPUS_LIMIT)
    apics = xen.array("x86_cpu_to_apicid", 4, count)
    offsets = areas(xen, count)
    mask = online_mask(xen, apics, offsets)
    chosen = [cpu for cpu in range(count) if mask >> cpu & 1 or (offsets[cpu] is not None and apics[cpu] != BAD_APICID)]
    found = [Cpu(cpu, apics[cpu], bool(mask >> cpu & 1), offsets[cpu]) for cpu in chosen]
    for cpu in found:
        if cpu.online and cpu.offset is None:
            why = f"CPU {cpu.cpu} is online and has no valid __per_cpu_offset"
            absent.append(unreadable(f"CPU {cpu.cpu}", why, "offset"))
    idle = _idle(xen, count)
    names = {**{vcpu.address: vcpu.name for vcpu in vcpus}, **dict.fromkeys(idle, IDLE)}
    paravirtual = {vcpu.name for vcpu in vcpus if not vcpu.hvm}
    registers = _registers(xen)
    softirqs, waiting = _irq_stat(xen, count)
    loaded = _pointers(xen, "per_cpu__curr_vcpu", found)
    scheduled = _scheduled(xen, found)
    made = []
    for cpu in found:
        name = names.get(loaded.get(cpu.cpu, 0))
        cpu = replace(cpu, softirqs=softirqs.get(cpu.cpu), loaded=name, current=names.get(scheduled.get(cpu.cpu, 0)))
        if cpu.cpu in registers:
            cpu = _with_registers(cpu, registers[cpu.cpu], names, paravirtual, xen)
        in_mwait = waiting.get(cpu.cpu)
        made.append(replace(cpu, in_mwait=in_mwait, mode=IDLE if in_mwait else cpu.mode))
    crashed = {cpu for cpu, running in registers.items() if running.at_crash}
    return shootdown.with_modes(made, crashed, paravirtual) if xen.memory.target.crash else made


class _Running:
    """A CPU's registers, whether it executes Xen, and its `struct cpu_info` if so.

    In a crash dump the registers are those before the NMI that stopped the CPU; `at_crash` if there were none before.
    """

    def __init__(self, xen: Xen, cpu: Registers) -> None:
        self.index = cpu.index
        self.registers = shootdown.before_the_nmi(xen, cpu.registers) if xen.memory.target.crash else cpu.registers
        self.at_crash = self.registers is cpu.registers and xen.memory.target.crash is not None
        self.in_xen = _in_xen(xen, self.registers)
        self.current: int | None = None
        self.interruptible: bool | None = None
        if "rsp" in cpu.registers and _in_xen(xen, cpu.registers):
            top = (cpu.registers["rsp"] | STACK_SIZE - 1) + 1 - xen.profile.size("cpu_info")
            rflags = variants.optional(xen.profile, "cpu_info")
            if info := xen.structs("cpu_info", [top], "processor_id", "current_vcpu", *rflags)[0]:
                self.index, self.current = info["processor_id"], info["current_vcpu"]
                self.interruptible = interruptible(info.get(RFLAGS, 0))


def _registers(xen: Xen) -> dict[int, _Running]:
    """By Xen's CPU number: its own word for it where the CPU runs Xen, else the CPU's place in the target's order."""
    running = [_Running(xen, cpu) for cpu in xen.memory.target.cpus() if _has_run(cpu.registers)]
    told = {cpu.index: cpu for cpu in running if cpu.current is not None}
    return {**{cpu.index: cpu for cpu in running if cpu.current is None and cpu.index not in told}, **told}


def _has_run(registers: Mapping[str, int]) -> bool:
    """Whether the registers are known, and not those of a CPU that was only just reset (SDM volume 3, 10.1.4)."""
    return "rip" in registers and (registers["rip"], registers.get("cs")) != RESET


def _in_xen(xen: Xen, registers: Mapping[str, int]) -> bool:
    """Whether the CPU executes Xen: its rip lies in Xen's image, and the page tables it uses map Xen there.

    A dump may lack a domain's page tables; then Xen's own code segment tells.
    """
    rip, note = registers["rip"], xen.profile.symbol("__note_gnu_build_id_start")
    if image_base(rip) != image_base(note):
        return False
    root = registers.get("cr3", 0) & ADDRESS
    try:
        return not root or PageTables(xen.memory.target, root).translate(note) == xen.memory.translate(note)
    except UNREADABLE:
        return registers.get("cs") == functions.HYPERVISOR_CS


def _with_registers(cpu: Cpu, running: _Running, names: Mapping[int, str], paravirtual: Set[str], xen: Xen) -> Cpu:
    current, mode = cpu.current, IN_XEN
    if running.current is not None:
        current = names.get(running.current)
    elif not running.in_xen:
        current = cpu.loaded if cpu.loaded not in (None, IDLE) else current
    if not running.in_xen:
        mode = IN_PV if current in paravirtual else IN_GUEST
    registers = running.registers
    where = functions.Whereabouts()
    if running.in_xen:
        where = functions.whereabouts(xen, registers)
        if current == IDLE and functions.idles(xen, registers["rip"]):
            mode = IDLE
    irr, isr = (tuple(vectors(registers[name])) if name in registers else None for name in ("irr", "isr"))
    held = running.interruptible
    return replace(
        cpu,
        mode=mode,
        rip=registers["rip"],
        rsp=registers.get("rsp"),
        eflags=eflags if (eflags := registers.get("eflags", 0)) & RFLAGS_1 else None,
        cs=registers.get("cs"),
        cr3=registers.get("cr3"),
        function=where.function,
        backtrace=where.backtrace,
        between_steps=where.between_steps,
        current=current,
        irr=irr,
        isr=isr,
        interruptible=held,
    )


def interruptible(rflags: int) -> bool | None:
    """RFLAGS.IF of a saved RFLAGS; None if none was saved, for bit 1 is always 1 (SDM volume 1, 3.4.3)."""
    return bool(rflags & RFLAGS_IF) if rflags & RFLAGS_1 else None


def _pointers(xen: Xen, symbol: str, cpus: Sequence[Cpu]) -> dict[int, int]:
    """A per-CPU pointer, by CPU."""
    if not xen.profile.has_symbol(symbol):
        return {}
    start = xen.profile.symbol(symbol)
    chosen = [cpu for cpu in cpus if cpu.offset is not None]
    parts = xen.memory.read_parts([(start + (cpu.offset or 0) & MASK64, 8) for cpu in chosen])
    return {cpu.cpu: int.from_bytes(part, "little") for cpu, part in zip(chosen, parts, strict=True) if part}


def _scheduled(xen: Xen, cpus: Sequence[Cpu]) -> dict[int, int]:
    """The vCPU that the scheduler has put on each CPU (`sched_resource.curr`), where a unit is one vCPU."""
    try:
        resources = _pointers(xen, "per_cpu__sched_res", cpus)
        rows = xen.structs("sched_resource", list(resources.values()), "curr", "granularity")
        units = {cpu: row["curr"] for cpu, row in zip(resources, rows, strict=True) if row and row["granularity"] == 1}
        owners = xen.structs("sched_unit", list(units.values()), "vcpu_list")
    except UNREADABLE:
        return {}
    return {cpu: row["vcpu_list"] for cpu, row in zip(units, owners, strict=True) if row}


def _idle(xen: Xen, count: int) -> list[int]:
    try:
        return [vcpu for vcpu in xen.array("idle_vcpu", 8, count) if vcpu]
    except UNREADABLE:
        return []


def _irq_stat(xen: Xen, count: int) -> tuple[dict[int, int], dict[int, bool]]:
    """By CPU, the pending softirqs, and whether it waits in MWAIT, where this build keeps that."""
    try:
        raw = xen.memory.read(xen.profile.symbol("irq_stat"), IRQ_STAT_SIZE * count)
    except UNREADABLE:
        return {}, {}
    parts = {cpu: raw[cpu * IRQ_STAT_SIZE :][:IRQ_STAT_SIZE] for cpu in range(count)}
    softirqs = {cpu: int.from_bytes(part[:4], "little") for cpu, part in parts.items()}
    if not xen.profile.has("irq_cpustat_t", "in_mwait"):
        return softirqs, {}
    at = xen.profile.offset("irq_cpustat_t", "in_mwait")
    return softirqs, {cpu: bool(part[at]) for cpu, part in parts.items()}


def lists(xen: Xen, cpus: Sequence[Cpu], vcpus: Sequence[Vcpu]) -> list[BlockingList]:
    """The list of each CPU that has a per-CPU area. What breaks a list is told in it.

    Raises:
        ProfileError: this build has no such lists (before 4.7), or its profile does not tell.
    """
    symbol = xen.profile.symbol(LISTS)
    link, lock = xen.profile.offset(LIST, "list"), xen.profile.offset(LIST, "lock")
    places = {cpu.cpu: symbol + cpu.offset for cpu in cpus if cpu.offset is not None}
    rows = xen.structs(LIST, list(places.values()), "list.next", "list.prev", "lock")
    known = {vcpu.node: vcpu for vcpu in vcpus if vcpu.node}
    found = []
    for (cpu, place), row in zip(places.items(), rows, strict=True):
        if row is None:
            found.append(BlockingList(cpu, place + link, place + lock, False, 0, 0, (), "its head cannot be read"))
            continue
        tickets = row["lock"] & (1 << 32) - 1
        # A ticket lock is free while the ticket served is the next one to be drawn (struct spinlock).
        held = tickets >> 16 != tickets & TICKETS
        head = BlockingList(cpu, place + link, place + lock, held, row["list.next"], row["list.prev"])
        if head.following:  # a list that was never set up is all zero
            head = _walk(xen, head, known)
        found.append(head)
    return found


def _walk(xen: Xen, empty: BlockingList, known: dict[int, Vcpu]) -> BlockingList:
    nodes: dict[int, Node] = {}
    address = empty.following
    broken = None
    while address != empty.head:
        if address in nodes:
            broken = f"it loops: node {address:#x} comes a second time"
        elif len(nodes) >= len(known) + SPARE:
            broken = f"it has over {len(nodes)} nodes, more than there are vCPUs"
        elif (node := _node(xen, address, known)) is None:
            broken = f"its node {address:#x} cannot be read"
        if broken or node is None:
            break
        nodes[address] = node
        address = node.following
    return replace(empty, nodes=tuple(nodes.values()), broken=broken)


def _node(xen: Xen, address: int, known: dict[int, Vcpu]) -> Node | None:
    if vcpu := known.get(address):
        return Node(address, vcpu.name, vcpu.following, vcpu.preceding)
    row = xen.structs("list_head", [address], "next", "prev")[0]
    return Node(address, None, row["next"], row["prev"]) if row else None


def online(xen: Xen) -> dict[int, int]:
    """APIC ID by number of each online CPU. Source: `cpu_online_map`, `x86_cpu_to_apicid`.

    Raises:
        NotMapped, NotReadable, ProfileError: they cannot be read.
    """
    count = min(xen.variable("nr_cpu_ids", 4), CPUS_LIMIT)
    apics = xen.array("x86_cpu_to_apicid", 4, count)
    mask = online_mask(xen, apics, areas(xen, count) if xen.memory.target.crash else ())
    return {cpu: apics[cpu] for cpu in range(count) if mask >> cpu & 1}


def areas(xen: Xen, count: int) -> list[int | None]:
    """`__per_cpu_offset` of each CPU; None for the marker of a CPU without an area, whose addresses are not canonical.

    Raises:
        NotMapped, NotReadable, ProfileError: they cannot be read.
    """
    start = xen.profile.symbol("__per_cpu_start")
    offsets = xen.array("__per_cpu_offset", 8, count)
    return [offset if (start + offset & MASK64) >> 47 == 0x1FFFF else None for offset in offsets]


def online_mask(xen: Xen, apics: Sequence[int], areas: Sequence[int | None]) -> int:
    """A bit for each online CPU. A crash clears `cpu_online_map`: then those that have an area were.

    Raises:
        NotMapped, NotReadable, ProfileError: it cannot be read.
    """
    raw = xen.memory.read(xen.profile.symbol("cpu_online_map"), -(-len(apics) // 64) * 8)
    mask = int.from_bytes(raw, "little")
    if mask or not xen.memory.target.crash:
        return mask
    return sum(1 << cpu for cpu, area in enumerate(areas) if area is not None and apics[cpu] != BAD_APICID)
