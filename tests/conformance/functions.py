"""The functions of the posted-interrupt logic, each as a call that Xen's code and the model can both make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim_backend.cpus import STACK_SIZE
from sim_backend.errors import SimError
from sim_backend.interrupts import irq_desc
from sim_backend.layout import Layout
from sim_backend.memory import PAGE
from sim_backend.pi_logic import Store, run_procedure
from sim_backend.versions import CURRENT, Version

from .states import DEVICE, DOMAINS, VCPUS, State, descriptor_of, message_of
from .xen_code import Event, Fails, XenCode, change

STUBS = (
    "_spin_unlock_irq",
    "acpi_find_matched_drhd_unit",
    "cpu_raise_softirq",
    "domain_pause",
    "domain_unpause",
    "get_random",
    "iommu_flush_iec_index",
    "map_vtd_domain_page",
    "pirq_spin_lock_irq_desc",
    "raise_softirq",
    "send_IPI_mask",
    "unmap_vtd_domain_page",
    "vcpu_wake",
    "vmx_fpu_leave",
    "vmx_save_guest_msrs",
    "vmx_vmcs_reload",
)
"""What Xen's code calls outside of the logic."""

NOT_COMPARED = (
    "_spin_unlock_irq",
    "acpi_find_matched_drhd_unit",
    "get_random",
    "map_vtd_domain_page",
    "pirq_spin_lock_irq_desc",
    "unmap_vtd_domain_page",
    "vmx_fpu_leave",
    "vmx_save_guest_msrs",
    "vmx_vmcs_reload",
)
CPUMASK = 32
STEPS = 3000
IN_PLACE = "pi_update_irte"
UPDATE_IRE_FROM_MSI = 0xA8
"""Of `iommu_ops`, which boot copies from the VT-d driver's. The lock of an irq is not modelled."""
FSGSBASE_OFF = 0
FEATURES, CX16 = 0x10, 1 << 13
"""Where `boot_cpu_data` has the feature bits of CPUID leaf 1's ECX; Xen 4.17 writes an entry in halves without CX16."""

Arguments = Callable[[State, Random], tuple[int, ...]]
ForXen = Callable[[State, tuple[int, ...]], tuple[str, list[int]]]


@dataclass(frozen=True)
class Function:
    """A function of Xen, which is a procedure of the model by the same name.

    Attributes:
        arguments: for a state, as the model takes them: physical addresses and numbers.
        value: the bits of RAX that are its return value.
        pointers: how many arguments, the first ones, are addresses; Xen's function gets virtual ones.
        for_xen: Xen's name and arguments where these are others.
    """

    name: str
    arguments: Arguments
    value: int = 0
    pointers: int = 1
    for_xen: ForXen | None = None


def _any_vcpu(made: State, rng: Random) -> tuple[int, ...]:
    listed = [vcpu for vcpus in made.lists.values() for vcpu in vcpus]
    return (rng.choice(listed if listed and rng.random() < 0.7 else made.vcpus),)


def _unlisted_vcpu(made: State, rng: Random) -> tuple[int, ...]:
    listed = {vcpu for vcpus in made.lists.values() for vcpu in vcpus}
    free = [vcpu for vcpu in made.vcpus if vcpu not in listed]
    return (rng.choice(free if free and rng.random() < 0.8 else made.vcpus),)


def _vcpu_and_vector(made: State, rng: Random) -> tuple[int, ...]:
    vcpu = rng.choice((made.current, rng.choice(made.vcpus)))
    return vcpu, rng.getrandbits(8)


def _domain(made: State, rng: Random) -> tuple[int, ...]:
    return (made.layout.domain(rng.choice((VCPUS, VCPUS, *DOMAINS))),)


def _msi(made: State, rng: Random) -> tuple[int, ...]:
    msi = rng.choice(made.layout.device(DEVICE).msis)
    return msi.msi_desc, message_of(made.layout, msi.msi_desc)


def _guest_registers(made: State, _: tuple[int, ...]) -> tuple[str, list[int]]:
    return "vmx_vmenter_helper", [made.layout.virtual(made.layout.cpu_info(made.cpu))]


def _irte_update(made: State, rng: Random) -> tuple[int, ...]:
    """Xen 4.17 has the MSI's own message rewritten; later ones a copy on the stack, which is not compared."""
    msi_desc, message = _msi(made, rng)
    layout = made.layout
    descriptor = rng.choice((0, descriptor_of(layout, rng.choice(made.vcpus))))
    if not layout.profile.has_symbol(IN_PLACE):
        content = layout.memory.read(message, layout.size("msi_msg"))
        message = layout.cpu_info(made.cpu) & -STACK_SIZE
        layout.memory.write(message, content)
        made.pages.add(message // PAGE)
    return msi_desc, descriptor, rng.getrandbits(8), message


def _irte_update_for_xen(made: State, arguments: tuple[int, ...]) -> tuple[str, list[int]]:
    layout = made.layout
    msi_desc, descriptor, gvec, _ = arguments
    pirq = next(msi.irq for msi in layout.device(DEVICE).msis if msi.msi_desc == msi_desc)
    target = layout.virtual(descriptor) if descriptor else 0
    if layout.profile.has_symbol(IN_PLACE):
        return IN_PLACE, [target, pirq, gvec]
    vcpu = target - layout.member("vcpu", "arch.hvm.vmx.pi_desc") if target else 0
    return "vmx_pi_update_irte", [vcpu, pirq, gvec]


FUNCTIONS = [
    Function("vmx_vcpu_block", _unlisted_vcpu),
    Function("vmx_pi_unblock_vcpu", _any_vcpu),
    Function("vmx_pi_per_cpu_init", lambda made, rng: (rng.choice((made.cpu, made.dead)),), pointers=0),
    Function("vmx_test_pir", _vcpu_and_vector, value=0xFF),
    Function("vmx_sync_pir_to_irr", _any_vcpu),
    Function("vmx_ctxt_switch_from", _any_vcpu),
    Function("vmx_ctxt_switch_to", _any_vcpu),
    Function("vmx_vmenter_helper", lambda made, rng: (), value=0xFF, for_xen=_guest_registers),
    Function("pi_wakeup_interrupt", lambda made, rng: ()),
    Function("pi_notification_interrupt", lambda made, rng: ()),
    Function("vmx_pi_desc_fixup", lambda made, rng: (made.dead,), pointers=0),
    Function("vmx_pi_hooks_assign", _domain),
    Function("vmx_pi_hooks_deassign", _domain),
    Function("vmx_deliver_posted_intr", _vcpu_and_vector),
    Function("msi_msg_write_remap_rte", _msi, value=0xFFFF_FFFF, pointers=2),
    Function("vmx_pi_update_irte", _irte_update, value=0xFFFF_FFFF, for_xen=_irte_update_for_xen),
]


def prepare(layout: Layout, code_symbol: Callable[[str], int]) -> None:
    """What the code needs beyond what the simulation lays out: VMX on, CX16 but no FSGSBASE, CPU policies."""
    memory = layout.memory
    features = layout.physical(code_symbol("boot_cpu_data")) + FEATURES
    memory.set_u32(features, memory.u32(features) | CX16)
    for cpu in range(layout.config.cpus):
        memory.set_u8(_percpu(layout, cpu, code_symbol("per_cpu__vmxon")), 1)
        layout.put("cpu_info", layout.cpu_info(cpu), {"cr4": FSGSBASE_OFF})
    if not layout.profile.has_symbol(IN_PLACE):
        place = layout.physical(code_symbol("iommu_ops")) + UPDATE_IRE_FROM_MSI
        memory.set_u64(place, code_symbol("msi_msg_write_remap_rte"))
    policy = layout.virtual(layout.new_pages())
    for domain in DOMAINS:
        layout.put_known("domain", layout.domain(domain), {"arch.cpu_policy": policy})


def _percpu(layout: Layout, cpu: int, symbol: int) -> int:
    """A CPU's instance of a per-CPU variable that the layout does not know."""
    area = layout.memory.u64(layout.symbol("__per_cpu_offset") + cpu * 8)
    return layout.physical(symbol + area & (1 << 64) - 1)


class Names:
    """What lies at an address, for messages and to choose what is compared in order."""

    def __init__(self, layout: Layout, code_symbol: Callable[[str], int]) -> None:
        self._parts: list[tuple[int, int, str]] = []
        for cpu in range(layout.config.cpus):
            preempt = _percpu(layout, cpu, code_symbol("per_cpu____preempt_count"))
            self._parts += [
                (preempt, 4, "preempt_count"),
                (layout.percpu(cpu, "vmx_pi_blocking"), 16, f"list of CPU {cpu}"),
                (layout.percpu(cpu, "vmx_pi_blocking") + 16, 8, f"list lock of CPU {cpu}"),
                (layout.percpu(cpu, "irq_count"), 4, f"irq_count of CPU {cpu}"),
                (layout.irq_stat(cpu), 4, f"softirqs of CPU {cpu}"),
            ]
        for number, domain in layout.domains.items():
            hooks = domain.address + layout.member("domain", "arch.hvm.pi_ops.flags")
            self._parts.append((hooks, 16, f"d{number} pi_ops"))
            for index, vcpu in enumerate(domain.vcpus):
                place = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_desc")
                node = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
                fields = [(0, 32, "PIR"), (32, 1, "ON SN"), (34, 1, "NV"), (36, 4, "NDST"), (32, 32, "reserved")]
                self._parts += [(place + at, size, f"d{number}v{index} {name}") for at, size, name in fields]
                self._parts += [(node, 16, f"d{number}v{index} node"), (node + 16, 8, f"d{number}v{index} node's lock")]
                flags = vcpu + layout.member("vcpu", "pause_flags")
                self._parts.append((flags, 4, f"d{number}v{index} pause_flags"))
                if regs := layout.get("vcpu", vcpu, "arch.hvm.vlapic.regs"):
                    self._parts.append((layout.physical(regs), PAGE, f"d{number}v{index} vLAPIC"))
                self._parts.append((vcpu, PAGE, f"d{number}v{index} struct vcpu"))
        unit = layout.units[layout.unit_of(DEVICE)].iommu
        self._parts.append((unit + layout.member("vtd_iommu", "intremap.lock"), 4, "table lock"))
        for msi in layout.device(DEVICE).msis:
            self._parts.append((message_of(layout, msi.msi_desc), layout.size("msi_msg"), "MSI message"))
            self._parts.append((layout.irte(msi.unit, msi.index), 16, f"IRTE {msi.index}"))
            self._parts.append((msi.msi_desc, layout.size("msi_desc"), "msi_desc"))
        self._cache: dict[int, str] = {}

    def __call__(self, address: int) -> str:
        if address not in self._cache:
            fits = (name for start, size, name in self._parts if start <= address < start + size)
            self._cache[address] = next(fits, "memory")
        return self._cache[address]

    def in_order(self, event: Event, stack: range) -> bool:
        """Whether it matters when this happens.

        Not so: the count that is up while a lock is held; IRR, of which Xen sets one bit after the other; the message
        that becomes remappable, which nobody else sees.
        """
        if event[0] != "store":
            return True
        return event[1] not in stack and not self(event[1]).endswith(("preempt_count", "vLAPIC", "MSI message"))

    def say(self, event: Event) -> str:
        """One line."""
        if event[0] != "store":
            return f"{event[0]}({', '.join(map(hex, event[1:]))})"
        _, address, old, new = event
        return f"{self(address)} [{address:#x}]: {old[::-1].hex()} -> {new[::-1].hex()}"


@dataclass
class Run:
    """What one side did: its value, its events in order, and where memory differs from the state's."""

    value: int
    events: list[Event]
    pages: set[int]
    page: Callable[[int], bytes]


def run_xen(code: XenCode, function: Function, made: State, arguments: tuple[int, ...]) -> Run | None:
    """The call in Xen's code, or None if that fails. The code's memory is that of the state, and then of the result."""
    layout = made.layout
    count = function.pointers
    name, given = function.name, [*map(layout.virtual, arguments[:count]), *arguments[count:]]
    if function.for_xen:
        name, given = function.for_xen(made, arguments)
    code.load(layout.memory, made.pages)
    unit = layout.units[layout.unit_of(DEVICE)]
    code.answers = {
        "get_random": lambda *_: made.random,
        "acpi_find_matched_drhd_unit": lambda *_: layout.virtual(unit.drhd),
        "map_vtd_domain_page": lambda address, *_: layout.virtual(address),
        "pirq_spin_lock_irq_desc": lambda pirq, *_: layout.virtual(irq_desc(layout, pirq)),
    }
    try:
        outcome = code.call(name, *given, cpu=made.cpu, interrupts_on=not made.in_irq)
    except Fails:
        return None
    assert outcome.interrupts_on == (not made.in_irq)
    events = [event for event in outcome.events if event[0] not in NOT_COMPARED]
    return Run(
        outcome.result & function.value,
        [_call(code, made, event) for event in events],
        outcome.pages,
        lambda page: code.read(page * PAGE, PAGE),
    )


def _call(code: XenCode, made: State, event: Event) -> Event:
    """A call of Xen's as the model tells it."""
    name, *arguments = event
    layout = made.layout
    match name:
        case "store":
            return event
        case "ack_apic_irq":
            return "ack_APIC_irq", made.cpu, 0
        case "raise_softirq":
            return name, made.cpu, arguments[0] & 0xFFFF_FFFF
        case "cpu_raise_softirq":
            return name, arguments[0] & 0xFFFF_FFFF, arguments[1] & 0xFFFF_FFFF
        case "send_IPI_mask":
            mask = int.from_bytes(code.read(layout.physical(arguments[0]), CPUMASK), "little")
            assert mask.bit_count() == 1
            return name, mask.bit_length() - 1, arguments[1] & 0xFFFF_FFFF
        case "iommu_flush_iec_index":
            unit = next(n for n, u in enumerate(layout.units) if layout.virtual(u.iommu) == arguments[0])
            return name, unit, arguments[2] & 0xFFFF_FFFF
        case _:
            return name, layout.physical(arguments[0]), 0


def run_model(function: Function, made: State, arguments: tuple[int, ...], version: Version = CURRENT) -> Run | None:
    """The call in the model, on a copy of the state, or None if it fails."""
    layout = made.layout.copy()
    try:
        outcome = run_procedure(
            function.name,
            layout,
            *arguments,
            cpu=made.cpu,
            in_irq=made.in_irq,
            version=version,
            random=lambda: made.random,
            limit=STEPS,
        )
    except SimError:
        return None
    events: list[Event] = []
    pages = set()
    for event in outcome.events:
        if not isinstance(event, Store):
            events.append(event)
            continue
        sides = (event.before.to_bytes(event.size, "little"), event.after.to_bytes(event.size, "little"))
        events += change(event.address, *sides)
        pages.update((event.address // PAGE, (event.address + event.size - 1) // PAGE))
    return Run(outcome.value & function.value, events, pages, lambda page: layout.memory.read(page * PAGE, PAGE))


def differences(xen: Run | None, model: Run | None, names: Names, stack: range) -> list[str]:
    """What Xen's code did otherwise than the model, one line each; none if they agree."""
    if xen is None or model is None:
        one = "Xen's code" if xen is None else "the model"
        return [] if xen is model else [f"{one} alone faults or does not end"]
    found = []
    if xen.value != model.value:
        found.append(f"value: {xen.value:#x}, model {model.value:#x}")
    sides = [[event for event in run.events if names.in_order(event, stack)] for run in (xen, model)]
    if sides[0] != sides[1]:
        place = next(
            n for n, pair in enumerate(zip([*sides[0], None], [*sides[1], None], strict=False)) if pair[0] != pair[1]
        )
        said = [names.say(side[place]) if place < len(side) else "nothing more" for side in sides]
        found.append(f"event {place}: {said[0]}; model: {said[1]}")
    for page in sorted(xen.pages | model.pages):
        ours, theirs = xen.page(page), model.page(page)
        if ours != theirs:
            start = page * PAGE
            for at in (at for at in range(PAGE) if ours[at] != theirs[at] and start + at not in stack):
                found.append(f"memory: {names(start + at)} [{start + at:#x}] {ours[at]:02x}; model: {theirs[at]:02x}")
    return found
