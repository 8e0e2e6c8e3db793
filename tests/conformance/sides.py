"""One call on both sides: in Xen's machine code, and in the model."""

from __future__ import annotations

from collections.abc import Callable

from sim_backend.layout.interrupts import irq_desc
from sim_backend.layout.layout import Layout
from sim_backend.logic.pi import run_procedure
from sim_backend.logic.versions import CURRENT, Version
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE

from .compare import Run, model_run
from .functions import IN_PLACE, Function
from .machine_code import Event, Fails
from .states import DEVICE, State
from .xen_code import XenCode

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
UPDATE_IRE_FROM_MSI = 0xA8
"""Of `iommu_ops`, which boot copies from the VT-d driver's. The lock of an irq is not modelled."""
FSGSBASE_OFF = 0
FEATURES, CX16 = 0x10, 1 << 13
"""Where `boot_cpu_data` has the feature bits of CPUID leaf 1's ECX; Xen 4.17 writes an entry in halves without CX16."""


def prepare(layout: Layout, code_symbol: Callable[[str], int]) -> None:
    """What the code needs beyond what the simulation lays out: VMX on, CX16 but no FSGSBASE, CPU policies."""
    memory = layout.memory
    features = layout.physical(code_symbol("boot_cpu_data")) + FEATURES
    memory.set_u32(features, memory.u32(features) | CX16)
    for cpu in range(layout.config.cpus):
        memory.set_u8(percpu(layout, cpu, code_symbol("per_cpu__vmxon")), 1)
        layout.put("cpu_info", layout.cpu_info(cpu), {"cr4": FSGSBASE_OFF})
    if not layout.profile.has_symbol(IN_PLACE):
        place = layout.physical(code_symbol("iommu_ops")) + UPDATE_IRE_FROM_MSI
        memory.set_u64(place, code_symbol("msi_msg_write_remap_rte"))
    policy = layout.virtual(layout.new_pages())
    for domain in layout.domains:
        layout.put_known("domain", layout.domain(domain), {"arch.cpu_policy": policy})


def percpu(layout: Layout, cpu: int, symbol: int) -> int:
    """A CPU's instance of a per-CPU variable that the layout does not know."""
    area = layout.memory.u64(layout.symbol("__per_cpu_offset") + cpu * 8)
    return layout.physical(symbol + area & (1 << 64) - 1)


def answers(layout: Layout, device: int) -> dict[str, Callable[..., int]]:
    """What stubs say of the VT-d unit of a device."""
    drhd = layout.virtual(layout.units[layout.unit_of(device)].drhd)
    return {
        "acpi_find_matched_drhd_unit": lambda *_: drhd,
        "map_vtd_domain_page": lambda address, *_: layout.virtual(address),
    }


def run_xen(
    code: XenCode, function: Function, made: State, arguments: tuple[int, ...], go_on: bool = False
) -> Run | None:
    """The call in Xen's code, or None if that fails; in the state, or going on where the last call ended."""
    layout = made.layout
    count = function.pointers
    name, given = function.name, [*map(layout.virtual, arguments[:count]), *arguments[count:]]
    if function.for_xen:
        name, given = function.for_xen(made, arguments)
    if not go_on:
        code.load(layout.memory, made.pages)
    code.answers = {
        **answers(layout, DEVICE),
        "get_random": lambda *_: made.random,
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
        [as_told(code, layout, made.cpu, event) for event in events],
        outcome.pages,
        lambda page: code.read(page * PAGE, PAGE),
    )


def as_told(code: XenCode, layout: Layout, cpu: int, event: Event) -> Event:
    """What happened in Xen's code on a CPU, as the model tells it."""
    name, *arguments = event
    match name:
        case "store":
            return event
        case "ack_apic_irq":
            return "ack_APIC_irq", cpu, 0
        case "raise_softirq":
            return name, cpu, arguments[0] & 0xFFFF_FFFF
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


def run_model(
    function: Function, made: State, arguments: tuple[int, ...], version: Version = CURRENT, on: Layout | None = None
) -> Run | None:
    """The call in the model, or None if it fails; on a copy of the state, or on this layout."""
    layout = on or made.layout.copy()
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
    return model_run(layout, outcome.value & function.value, outcome.events)
