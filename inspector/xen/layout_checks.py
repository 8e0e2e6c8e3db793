"""What must hold of each structure's members in the memory of a Xen: proofs and refutations, structure by structure.

A check yields `(member, True)` where memory holds what only that member can hold, `(member, False)` where it holds what
that member cannot, and nothing where it tells neither. Sources: the structures' own definitions, and where Xen sets
what is relied on: scheduler_init (the idle domain), setup_dom0_pci_devices, alloc_remap_entry, init_irq_data,
vlapic_init, vmx_create_vmcs, `struct cpu_info`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from inspector.profiles.image import Image
from inspector.xen.layout_facts import MASK64, NONE, Facts
from structs.pi_desc import PI_DESC
from structs.xen import variants
from structs.xen.layout import Place, StructLayout

Said = Iterator[tuple[str, bool]]

DOMIDS = {"dom_xen": 0x7FF2, "dom_io": 0x7FF1, "dom_cow": 0x7FF3}
DOMID_IDLE = 0x7FFF
DOMAINS_LIMIT = 4096
FEW = 3
WORDS = 64
"""Of a structure whose layout is not known: more than it has."""
CDF_HVM = 1
PAGE = 0x1000
LAPIC_VERSION, LAPIC_VERSION_VALUE = 0x30, 0x50014
RFLAGS_1, RFLAGS_RESERVED = 1 << 1, ~0x3F7FD7 & MASK64
ENTRY_SIZE, ENTRIES = 16, 1 << 16
MESSAGE_ADDRESS = 0xFEE00000
REGISTERS = (
    ("cap", 0x08, MASK64),
    ("ecap", 0x10, MASK64),
    ("intremap.maddr", 0xB8, ~0xFFF),
    ("qinval_maddr", 0x90, ~0xFFF),
)
"""What Xen keeps of a unit's registers: member, register, and the bits of it that the member holds."""
VPF_BLOCKED, PAUSE_FLAGS = 1, 1 << 12
RUNNING, BLOCKED, RUNSTATES = 0, 2, 4


class Settled:
    """What is known on the way: facts, candidates, and the layouts that are settled.

    `layouts` maps a structure to its layout, or None if none fits.
    """

    def __init__(self, facts: Facts, candidates: Mapping[str, list[StructLayout]], image: Image | None = None) -> None:
        self.facts = facts
        self.image = image
        self.candidates = candidates
        self.layouts: dict[str, StructLayout | None] = {}

    def member(self, struct: str, address: int, path: str) -> int | None:
        """A member of a structure whose layout is settled."""
        layout = self.layouts.get(struct)
        return self.facts.member(layout, address, path) if layout else None

    def place(self, struct: str, path: str) -> Place | None:
        """Where a member is, if that is settled."""
        layout = self.layouts.get(struct)
        return layout.members.get(path) if layout else None

    def any_member(self, struct: str, address: int, path: str) -> set[int]:
        """What a member holds by its settled layout, or else by any candidate's."""
        layout = self.layouts.get(struct)
        chosen = [layout] if layout else self.candidates.get(struct, [])
        return {value for one in chosen if (value := self.facts.member(one, address, path)) is not None}

    @cached_property
    def idle_domain(self) -> int | None:
        """The idle domain's address, by any layout: its vCPUs are `idle_vcpu[]` themselves."""
        array = self.facts.symbols.symbol("idle_vcpu") if self.facts.symbols.has_symbol("idle_vcpu") else None
        for idle in self.facts.idle_vcpus.values():
            for domain in self.any_member("vcpu", idle, "domain"):
                if array is not None and array in self.any_member("domain", domain, "vcpu"):
                    return domain
        return None

    def domains_by(self, layout: StructLayout) -> list[int]:
        """The addresses of the domains in `domain_list`, by a layout of `struct domain`."""
        found: list[int] = []
        at = self.facts.value("domain_list")
        while at and at not in found and len(found) < DOMAINS_LIMIT and self.facts.readable(at):
            found.append(at)
            at = self.facts.member(layout, at, "next_in_list")
        return found

    @cached_property
    def domains(self) -> list[int]:
        """The same once `struct domain` is settled."""
        layout = self.layouts.get("domain")
        return self.domains_by(layout) if layout and "next_in_list" in layout.members else []

    @cached_property
    def vcpus(self) -> dict[int, tuple[int, int]]:
        """Each vCPU's domain and number, idle ones included, by address."""
        found = {}
        if self.idle_domain:
            found = {at: (self.idle_domain, cpu) for cpu, at in self.facts.idle_vcpus.items()}
        for domain in self.domains:
            array, count = self.member("domain", domain, "vcpu"), self.member("domain", domain, "max_vcpus")
            if array and count and count <= DOMAINS_LIMIT:
                vcpus = self.facts.words(array, count)
                found |= {at: (domain, number) for number, at in enumerate(vcpus) if at}
        return found

    @cached_property
    def hvm_vcpus(self) -> list[int]:
        """The vCPUs of hardware-virtualised domains."""
        hvm = {d for d in self.domains if (self.member("domain", d, "options") or 0) & CDF_HVM}
        return [at for at, (domain, _) in self.vcpus.items() if domain in hvm]

    @cached_property
    def pci_devices(self) -> list[int]:
        """The devices in the domains' lists, by settled layouts."""
        link, head = self.place("pci_dev", "domain_list"), self.place("domain", "pdev_list")
        if link is None or head is None:
            return []
        lists = (self.facts.list_nodes(domain + head.offset) or [] for domain in self.domains)
        return [node - link.offset for nodes in lists for node in nodes]


def holds(path: str, values: list[int | None], expected: list[int], distinctive: Callable[[int], bool] = bool) -> Said:
    """All as expected: proof if one is distinctive (not 0). One otherwise: refuted."""
    if not values or None in values:
        return
    if values != expected:
        yield path, False
    elif any(map(distinctive, expected)):
        yield path, True


def list_head(known: Settled, layout: StructLayout) -> Said:
    """Two pointers, as the head of Xen's own list of VT-d units has them."""
    head = known.facts.value("acpi_drhd_units") and known.facts.symbols.symbol("acpi_drhd_units")
    if head and known.facts.list_nodes(head) is not None:
        following = known.facts.member(layout, head, "next")
        yield from holds("next", [known.facts.member(layout, following or 0, "prev")], [head])
        preceding = known.facts.member(layout, head, "prev")
        yield from holds("prev", [known.facts.member(layout, preceding or 0, "next")], [head])


def domain(known: Settled, layout: StructLayout) -> Said:
    """The special domains' numbers, the idle domain's vCPUs, the list of the others and what leads back to them."""
    facts = known.facts
    special = {at: number for name, number in DOMIDS.items() if (at := facts.value(name))}
    idle = known.idle_domain
    if idle:
        special[idle] = DOMID_IDLE
        array = facts.symbols.symbol("idle_vcpu")
        yield from holds("vcpu", [facts.member(layout, idle, "vcpu")], [array])
        yield from holds(
            "max_vcpus", [facts.member(layout, idle, "max_vcpus")], [facts.nr_cpu_ids], lambda count: count > 1
        )
    yield from holds("domain_id", [facts.member(layout, at, "domain_id") for at in special], list(special.values()))
    listed = known.domains_by(layout)
    numbers = [facts.member(layout, at, "domain_id") for at in listed]
    in_order = [number for number in numbers if number is not None]
    if (
        len(in_order) != len(listed)
        or any(at % PAGE for at in listed)
        or in_order != sorted(set(in_order))
        or (in_order and in_order[-1] >= DOMIDS["dom_io"])
    ):
        yield "next_in_list", False
    elif len(listed) > 1:
        yield "next_in_list", True
    every = [*listed, *special]
    yield from _at_most(facts, layout, every, {"is_dying": 2, "options": 0xFFFF, "pause_count": 0xFFFF})
    for at in listed:
        yield from _vcpus_of(known, layout, at)
        yield from _devices_of(known, layout, at)
        yield from _hooks_of(facts, layout, at)


def _vcpus_of(known: Settled, layout: StructLayout, at: int) -> Said:
    """Its array holds so many vCPUs, each of which leads back."""
    count, array = (known.facts.member(layout, at, path) for path in ("max_vcpus", "vcpu"))
    if count is None or array is None or not 0 < count <= DOMAINS_LIMIT:
        if count is not None and count > DOMAINS_LIMIT:
            yield "max_vcpus", False
        return
    vcpus = known.facts.words(array, count)
    if not vcpus or any(one and at not in known.any_member("vcpu", one, "domain") for one in vcpus):
        yield "vcpu", False
    elif vcpus[-1]:
        yield "vcpu", True
        if count > 1:
            yield "max_vcpus", True


def _devices_of(known: Settled, layout: StructLayout, at: int) -> Said:
    """Its list of devices is closed, and they lead back."""
    head = layout.members.get("pdev_list")
    if head is None:
        return
    nodes = known.facts.list_nodes(at + head.offset)
    if nodes is None:
        yield "pdev_list", False
        return
    for one in known.candidates.get("pci_dev", ()):
        link = one.members.get("domain_list")
        if nodes and link and all(known.facts.member(one, node - link.offset, "domain") == at for node in nodes):
            yield "pdev_list", True
            return
    if nodes:
        yield "pdev_list", False


def _hooks_of(facts: Facts, layout: StructLayout, at: int) -> Said:
    """The pointer to the hook is the hook's address or none."""
    path = "arch.hvm.pi_ops.vcpu_block"
    hook = facts.member(layout, at, path)
    if hook is None or not (facts.member(layout, at, "options") or 0) & CDF_HVM:
        return
    if facts.symbols.has_symbol("vmx_vcpu_block"):
        yield from ((path, found) for found in [hook == facts.symbols.symbol("vmx_vcpu_block")] if hook)
    yield from _at_most(facts, layout, [at], {"arch.hvm.pi_ops.flags": 3})


def _at_most(facts: Facts, layout: StructLayout, addresses: list[int], limits: Mapping[str, int]) -> Said:
    """No value beyond what the member can have: nothing is proved by that."""
    for path, limit in limits.items():
        if any((facts.member(layout, at, path) or 0) > limit for at in addresses):
            yield path, False


def pci_dev(known: Settled, layout: StructLayout) -> Said:
    """The devices in the domains' lists lead back to them, and no two have the same number."""
    link, head = layout.members.get("domain_list"), known.place("domain", "pdev_list")
    if link is None or head is None:
        return
    numbers: list[int | None] = []
    for at in known.domains:
        devices = [node - link.offset for node in known.facts.list_nodes(at + head.offset) or []]
        owners = [known.facts.member(layout, device, "domain") for device in devices]
        yield from holds("domain", owners, [at] * len(devices))
        yield from holds("domain_list", owners, [at] * len(devices))
        numbers += [known.facts.member(layout, device, "sbdf.sbdf") for device in devices]
    if numbers and None not in numbers and "sbdf.sbdf" in layout.members:
        if len(set(numbers)) < len(numbers) or any((number or 0) >> 16 for number in numbers if number):
            yield "sbdf.sbdf", False
        elif len(numbers) > 1 and 0 in numbers:
            # The host bridge is 00:00.0 on every PC; beside it there are others, all different.
            yield "sbdf.sbdf", True


def vcpu(known: Settled, layout: StructLayout) -> Said:
    """Numbers and pointers back, run states that agree, and what virtualisation keeps in it."""
    facts = known.facts
    vcpus = known.vcpus
    yield from holds("domain", [facts.member(layout, at, "domain") for at in vcpus], [d for d, _ in vcpus.values()])
    idle = facts.idle_vcpus
    yield from _of_one_domain(facts, layout, list(idle.values()))
    # Of an idle vCPU its number is its CPU's: those alone do not tell one member from the other.
    apart = any(facts.member(layout, at, "processor") != number for at, (_, number) in vcpus.items())
    numbers = [facts.member(layout, at, "vcpu_id") for at in vcpus]
    yield from holds("vcpu_id", numbers, [number for _, number in vcpus.values()], lambda number: number > 0 and apart)
    processors = [facts.member(layout, at, "processor") for at in idle.values()]
    yield from holds("processor", processors, list(idle), lambda cpu: cpu > 0 and apart)
    yield from _at_most(
        facts, layout, list(vcpus), {"processor": max(facts.nr_cpu_ids - 1, 0), "pause_flags": PAUSE_FLAGS}
    )
    yield from _at_most(facts, layout, list(vcpus), {"pause_count": 0xFFFF, "is_running": 1})
    yield from _run_states(facts, layout, list(vcpus))
    yield from _scheduled(known, layout)
    yield from _dirty(facts, layout, list(vcpus))
    guests = [at for at in vcpus if at not in set(idle.values())]
    yield from _flags("arch.user_regs.rflags", [facts.member(layout, at, "arch.user_regs.rflags") for at in guests])
    for at in known.hvm_vcpus:
        yield from _vlapic(facts, layout, at)
        yield from _vmx(facts, layout, at)
    yield from _listed(known, layout)


def _of_one_domain(facts: Facts, layout: StructLayout, idle: list[int]) -> Said:
    """All idle vCPUs belong to the one idle domain, whatever is known of that."""
    owners = {facts.member(layout, at, "domain") for at in idle}
    if owners and None not in owners and (len(owners) > 1 or not facts.readable(owners.pop() or 0)):
        yield "domain", False


def _run_states(facts: Facts, layout: StructLayout, vcpus: list[int]) -> Said:
    states, running, flags = (
        [facts.member(layout, at, path) for at in vcpus] for path in ("runstate.state", "is_running", "pause_flags")
    )
    if None in states or not states:
        return
    if any(state not in range(RUNSTATES) for state in states):
        yield "runstate.state", False
        return
    known = {RUNNING, BLOCKED} <= set(states)
    if (
        known
        and None not in running
        and all((state == RUNNING) == bool(one) for state, one in zip(states, running, strict=True))
    ):
        yield "runstate.state", True
        yield "is_running", True
    blocked = [bool((flag or 0) & VPF_BLOCKED) for flag in flags]
    if (
        known
        and True in blocked
        and all(
            (state == BLOCKED) == held for state, held in zip(states, blocked, strict=True) if held or state == BLOCKED
        )
    ):
        yield "pause_flags", True
    entered = [facts.member(layout, at, "runstate.state_entry_time") for at in vcpus]
    if any(entry is not None and entry >> 62 for entry in entered):
        yield "runstate.state_entry_time", False


def _scheduled(known: Settled, layout: StructLayout) -> Said:
    """Its unit leads back to it."""
    facts = known.facts
    units = {at: facts.member(layout, at, "sched_unit") for at in known.vcpus}
    leads = [
        unit is not None and facts.readable(unit) and at in known.any_member("sched_unit", unit, "vcpu_list")
        for at, unit in units.items()
        if unit is not None
    ]
    if leads:
        yield "sched_unit", all(leads)


def _dirty(facts: Facts, layout: StructLayout, vcpus: list[int]) -> Said:
    dirty = [facts.member(layout, at, "dirty_cpu") for at in vcpus]
    if None in dirty or not dirty:
        return
    if any(cpu != NONE and (cpu or 0) >= facts.nr_cpu_ids for cpu in dirty):
        yield "dirty_cpu", False
    elif NONE in dirty and len(set(dirty)) > 1:
        yield "dirty_cpu", True


def _flags(path: str, values: list[int | None]) -> Said:
    """A saved RFLAGS: bits that are reserved are not set. What a CPU saved has bit 1; it is zero before the first exit,
    and what Xen or the toolstack made for a vCPU that has not run may lack that bit."""
    saved = [value for value in values if value]
    if any(value & RFLAGS_RESERVED for value in saved):
        yield path, False
    elif saved and all(value & RFLAGS_1 for value in saved):
        yield path, True


def _vlapic(facts: Facts, layout: StructLayout, at: int) -> Said:
    for vlapic in variants.VLAPIC:
        page = facts.member(layout, at, f"{vlapic}.regs")
        if page is None:
            continue
        version = facts.word(page + LAPIC_VERSION, 4) if facts.readable(page) else None
        yield f"{vlapic}.regs", version == LAPIC_VERSION_VALUE
        yield from _at_most(facts, layout, [at], {f"{vlapic}.hw.disabled": 3})


def _vmx(facts: Facts, layout: StructLayout, at: int) -> Said:
    vectors = {facts.value(name, 1) for name in ("posted_intr_vector", "pi_wakeup_vector")} - {None, 0}
    for vmx in variants.VMX:
        place = layout.members.get(f"{vmx}.pi_desc")
        if place is None:
            continue
        path = f"{vmx}.pi_desc"
        raw = facts.word(at + place.offset, PI_DESC.size)
        if raw is None:
            continue
        fields = PI_DESC.parse(raw.to_bytes(PI_DESC.size, "little"))
        reserved = any(PI_DESC[f.name].extract(raw) for f in PI_DESC.fields if f.reserved)
        if reserved or (fields["nv"] and fields["nv"] not in vectors) or place.offset % PI_DESC.size:
            yield path, False
        elif fields["nv"]:
            yield path, True
        yield from _vmcs(facts, layout, at, vmx, facts.physical(at + place.offset))


def _vmcs(facts: Facts, layout: StructLayout, at: int, vmx: str, descriptor: int | None) -> Said:
    """The VMCS is a page of its own, which holds the descriptor's address."""
    path = f"{vmx}.vmcs_pa"
    page = facts.member(layout, at, path)
    if page is None:
        return
    part = facts.memory.target.read_parts([(page, PAGE)])[0] if page and not page % PAGE and not page >> 46 else None
    if page and part is None:
        yield path, False
    elif part and descriptor is not None and descriptor.to_bytes(8, "little") in part:
        yield path, True
        yield f"{vmx}.pi_desc", True


def _listed(known: Settled, layout: StructLayout) -> Said:
    """Nodes of the blocking lists are vCPUs' own, and their lock is the list's."""
    facts = known.facts
    heads = facts.per_cpu("vmx_pi_blocking")
    for vmx in variants.VMX:
        link, lock = layout.members.get(f"{vmx}.pi_blocking.list"), layout.members.get(f"{vmx}.pi_blocking.lock")
        if link is None:
            continue
        nodes = {at + link.offset: at for at in known.hvm_vcpus}
        for head in heads.values():
            for node in facts.list_nodes(head) or ():
                owner = nodes.get(node)
                for path in ("list", "list.next", "list.prev"):
                    yield f"{vmx}.pi_blocking.{path}", owner is not None
                held = facts.at(owner, lock) if owner is not None and lock else None
                if held is not None:
                    yield f"{vmx}.pi_blocking.lock", head < held < head + 64


def cpu_info(known: Settled, layout: StructLayout) -> Said:
    """At the top of each CPU's stack: the vCPU that it runs, its number, its per-CPU area."""
    facts = known.facts
    infos = {cpu: top - layout.size for cpu, top in facts.stack_tops.items()}
    current = [facts.member(layout, at, "current_vcpu") for at in infos.values()]
    if current and None not in current:
        yield "current_vcpu", all(one in known.vcpus for one in current)
    yield from holds("processor_id", [facts.member(layout, at, "processor_id") for at in infos.values()], list(infos))
    offsets = [facts.per_cpu_offsets.get(cpu, 0) for cpu in infos]
    yield from holds("per_cpu_offset", [facts.member(layout, at, "per_cpu_offset") for at in infos.values()], offsets)
    # Where an idle vCPU runs, no guest has left any.
    idle = set(facts.idle_vcpus.values())
    guests = [at for at, one in zip(infos.values(), current, strict=True) if one not in idle]
    path = "guest_cpu_user_regs.rflags"
    yield from _flags(path, [facts.member(layout, at, path) for at in guests])


def sched_resource(known: Settled, layout: StructLayout) -> Said:
    """Each CPU's resource runs a unit whose first vCPU is one that is known; a unit is one vCPU as a rule."""
    facts = known.facts
    places = facts.per_cpu("sched_res")
    resources = [at for place in places.values() if (at := facts.word(place))]
    for at in resources:
        unit = facts.member(layout, at, "curr")
        if unit is not None:
            first = known.any_member("sched_unit", unit, "vcpu_list") if facts.readable(unit) else set()
            yield "curr", bool(first & known.vcpus.keys())
    sizes = {facts.member(layout, at, "granularity") for at in resources} - {None}
    if sizes and not sizes <= set(range(1, 257)):
        yield "granularity", False
    elif sizes:
        yield "granularity", True


def sched_unit(known: Settled, layout: StructLayout) -> Said:
    """A vCPU's unit leads back to it."""
    unit_at = known.place("vcpu", "sched_unit")
    for at in known.vcpus if unit_at else ():
        unit = known.facts.at(at, unit_at) if unit_at else None
        if unit:
            yield "vcpu_list", known.facts.member(layout, unit, "vcpu_list") == at


def blocking(known: Settled, layout: StructLayout) -> Said:
    """A list head that is closed, on each CPU; a lock that is free or held by one or two."""
    facts = known.facts
    link, lock = layout.members.get("list"), layout.members.get("lock")
    for place in facts.per_cpu("vmx_pi_blocking").values():
        if link is None or lock is None or not facts.word(place + link.offset):
            continue
        closed = facts.list_nodes(place + link.offset) is not None
        for path in ("list", "list.next", "list.prev"):
            yield path, closed
        held = {known.member("vcpu", at, f"{vmx}.pi_blocking.lock") for at in known.hvm_vcpus for vmx in variants.VMX}
        if place + lock.offset in held:
            yield "lock", True
        tickets = facts.word(place + lock.offset, 4) or 0
        if (tickets >> 16) - (tickets & 0xFFFF) & 0xFFFF > facts.nr_cpu_ids:
            yield "lock", False


def acpi_drhd_unit(known: Settled, layout: StructLayout) -> Said:
    """Nodes of Xen's list, each of a unit whose registers lie on a page of their own and that leads back to it."""
    facts = known.facts
    link = layout.members.get("list")
    if link is None:
        return
    for at in (node - link.offset for node in facts.units):
        base, segment, iommu = (facts.member(layout, at, path) for path in ("address", "segment", "iommu"))
        if base is not None:
            yield "address", bool(base) and not base % PAGE and not base >> 52
        there = bool(iommu and facts.readable(iommu))
        backs = known.any_member("vtd_iommu", iommu or 0, "drhd") if there else set()
        leads_back = at in backs or (there and _holds_through(facts, iommu or 0, at))
        for path in ("iommu", "list"):
            yield path, leads_back
        for head in ("ioapic_list", "hpet_list"):
            if place := layout.members.get(head):
                yield head, facts.list_nodes(at + place.offset) is not None
        if segment:
            yield "segment", segment < 256


def _holds_through(facts: Facts, start: int, address: int) -> bool:
    """Whether a structure that one of the first pointers in another leads to holds an address: before 4.13
    `struct iommu` leads back to its unit through `struct intel_iommu`."""
    pointers = [word for word in facts.words(start, WORDS) if word >> 47 == 0x1FFFF and word != address]
    return any(address in facts.words(pointer, WORDS) for pointer in pointers)


def vtd_iommu(known: Settled, layout: StructLayout) -> Said:
    """The unit's own registers, and where they cannot be read, what is alike."""
    facts = known.facts
    link = known.place("acpi_drhd_unit", "list")
    if link is None:
        return
    for number, drhd in enumerate(node - link.offset for node in facts.units):
        at, base = (known.member("acpi_drhd_unit", drhd, path) for path in ("iommu", "address"))
        if not at or base is None:
            continue
        yield "drhd", facts.member(layout, at, "drhd") == drhd
        window = facts.memory.target.read_parts([(base, 0x100)])[0]
        registers = window if window and int.from_bytes(window[:4], "little") not in (0, NONE) else None
        for path, offset, mask in (
            ("cap", 0x08, MASK64),
            ("ecap", 0x10, MASK64),
            ("intremap.maddr", 0xB8, ~0xFFF),
            ("qinval_maddr", 0x90, ~0xFFF),
        ):
            value = facts.member(layout, at, path)
            if registers and value is not None:
                held = int.from_bytes(registers[offset : offset + 8], "little") & mask
                yield path, value == held
            elif path.endswith("maddr") and value is not None and (value % PAGE or value >> 52):
                yield path, False
        if not registers:
            yield from _table(facts, layout, at)
        index = facts.member(layout, at, "index")
        if index is not None and (index or number == 0) and index != number:
            yield "index", False
        elif index:
            yield "index", True
        used = facts.member(layout, at, "intremap.num")
        if used is not None and used > ENTRIES:
            yield "intremap.num", False


def _table(facts: Facts, layout: StructLayout, at: int) -> Said:
    """So many entries of the table are present as Xen counts as allocated."""
    table, used = (facts.member(layout, at, path) for path in ("intremap.maddr", "intremap.num"))
    if not table or not used or used > ENTRIES:
        return
    raw = facts.memory.target.read_parts([(table, ENTRIES * ENTRY_SIZE)])[0]
    if raw and sum(1 for entry in range(0, len(raw), ENTRY_SIZE) if raw[entry] & 1) == used:
        yield "intremap.maddr", True
        yield "intremap.num", True


def irq_desc(known: Settled, layout: StructLayout) -> Said:
    """The table of irqs: each knows its own number, and a CPU's table of vectors leads back to it."""
    facts = known.facts
    table, count = facts.value("irq_desc"), min(facts.value("nr_irqs", 4) or 0, 1 << 16)
    number = layout.members.get("irq")
    if not table or not count or number is None or not layout.size:
        return
    numbers = [facts.member(layout, table + irq * layout.size, "irq") for irq in (0, 1, count // 2, count - 1)]
    yield from holds("irq", numbers, [0, 1, count // 2, count - 1])
    yield from _vectors(facts, layout, table, count)
    descs = [facts.member(layout, table + irq * layout.size, "msi_desc") for irq in range(min(count, 1024))]
    for irq, desc in enumerate(descs):
        if desc:
            yield "msi_desc", facts.readable(desc) and irq in known.any_member("msi_desc", desc, "irq")


def _vectors(facts: Facts, layout: StructLayout, table: int, count: int) -> Said:
    """CPU 0's `vector_irq[]` leads to irqs of those vectors, but for an irq that is just moving to another vector."""
    vectors = facts.per_cpu("vector_irq").get(0)
    raw = facts.memory.read_parts([(vectors, 4 * 256)])[0] if vectors else None
    irqs = enumerate(int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 4)) if raw else ()
    # Free and moving vectors are told by negative numbers, the timer's stays on all CPUs.
    held = [
        facts.member(layout, table + irq * layout.size, "arch.vector") == vector
        for vector, irq in irqs
        if 0 < irq < count
    ]
    if len(held) >= FEW and (right := sum(held)) in (0, *range(len(held) - len(held) // FEW, len(held) + 1)):
        yield "arch.vector", bool(right)


def msi_desc(known: Settled, layout: StructLayout) -> Said:
    """Each leads back to its irq and on to its device; its message is one, and its entry names the device."""
    facts = known.facts
    for irq, at in _msis(known).items():
        yield from holds("irq", [facts.member(layout, at, "irq")], [irq])
        device = facts.member(layout, at, "dev")
        if device:
            yield "dev", device in known.pci_devices if known.pci_devices else facts.readable(device)
        address = facts.member(layout, at, "msg.address_lo")
        if address:
            yield "msg.address_lo", address & 0xFFF00000 == MESSAGE_ADDRESS
        index = facts.member(layout, at, "remap_index")
        if index is not None and device and index != NONE:
            number = known.member("pci_dev", device, "sbdf.sbdf")
            sources = _sources_of(known, index)
            if number is not None and sources:
                yield "remap_index", number & 0xFFFF in sources
        kind = facts.member(layout, at, "msi_attrib.type")
        if device and kind is not None:
            yield "msi_attrib.type", kind in (0x05, 0x11)


def _msis(known: Settled) -> dict[int, int]:
    """The MSI descriptors by irq, once `struct irq_desc` is settled."""
    layout = known.layouts.get("irq_desc")
    table, count = known.facts.value("irq_desc"), min(known.facts.value("nr_irqs", 4) or 0, 1024)
    if not layout or not table or not layout.size or "msi_desc" not in layout.members:
        return {}
    found = {irq: known.facts.member(layout, table + irq * layout.size, "msi_desc") for irq in range(count)}
    return {irq: at for irq, at in found.items() if at}


def _sources_of(known: Settled, index: int) -> set[int]:
    """The source-ids of the entries of that index, one a unit."""
    sources = set()
    link = known.place("acpi_drhd_unit", "list")
    for drhd in (node - link.offset for node in known.facts.units) if link else ():
        iommu = known.member("acpi_drhd_unit", drhd, "iommu")
        table = known.member("vtd_iommu", iommu, "intremap.maddr") if iommu else None
        part = known.facts.memory.target.read_parts([(table + index * ENTRY_SIZE, ENTRY_SIZE)])[0] if table else None
        if part and part[0] & 1:
            sources.add(int.from_bytes(part[8:10], "little"))
    return sources


def irq_cpustat(known: Settled, layout: StructLayout) -> Said:
    """Its first member is the pending softirqs, of which there are few kinds."""
    facts = known.facts
    if facts.symbols.has_symbol("irq_stat") and layout.size:
        start = facts.symbols.symbol("irq_stat")
        for cpu in facts.idle_vcpus:
            if (facts.member(layout, start + cpu * layout.size, "__softirq_pending") or 0) >> 16:
                yield "__softirq_pending", False
            if (facts.member(layout, start + cpu * layout.size, "in_mwait") or 0) > 1:
                yield "in_mwait", False


CHECKS: dict[str, Callable[[Settled, StructLayout], Said]] = {
    "list_head": list_head,
    "domain": domain,
    "vcpu": vcpu,
    "pci_dev": pci_dev,
    "sched_unit": sched_unit,
    "sched_resource": sched_resource,
    "cpu_info": cpu_info,
    "vmx_pi_blocking_vcpu": blocking,
    "acpi_drhd_unit": acpi_drhd_unit,
    "vtd_iommu": vtd_iommu,
    "irq_desc": irq_desc,
    "msi_desc": msi_desc,
    "irq_cpustat_t": irq_cpustat,
}
"""In the order in which they are settled: a check may use what those before it have settled."""
