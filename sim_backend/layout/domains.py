"""Domains and their vCPUs: one page each, as Xen allocates them."""

from __future__ import annotations

from collections.abc import Callable

from sim_backend.layout.builder import LayoutBuilder
from sim_backend.layout.cpus import Cpus, cpu_info, percpu
from sim_backend.layout.pirqs import new_tree, tree_size
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE
from structs.bits import packed_bytes
from structs.frozen import frozen
from structs.pi_desc import PI_DESC, ndst_from_apic_id
from structs.xen.profile import POINTER_SIZE

DOMID_IDLE = 0x7FFF
RUNNING, RUNNABLE, BLOCKED, OFFLINE = range(4)
CDF_HVM = 1
CLEAN = (1 << 32) - 1
NDST_UNUSED = (1 << 32) - 1
"""APIC_INVALID_DEST: a descriptor's NDST until the hooks see it (4.9 on)."""


@frozen
class Domain:
    """A domain.

    Attributes:
        address: its `struct domain`.
        vcpus: in order, its vCPUs' `struct vcpu`.
        hvm: whether it is virtualised by hardware.
        pirqs: where the leaves of its tree of pirqs begin; 0 if there is none.
    """

    address: int
    vcpus: tuple[int, ...]
    hvm: bool
    pirqs: int = 0


@frozen
class NewDescriptors:
    """How a new vCPU's descriptor is filled: NV, and for each CPU the NDST that names it, or None for `NDST_UNUSED`."""

    nv: int
    ndst: Callable[[int], int]


def new_descriptors(nv: int, apics: tuple[int, ...], x2apic: bool, at_creation: bool) -> NewDescriptors:
    """Descriptors as `vmx_vcpu_initialise` fills them."""
    return NewDescriptors(nv, lambda cpu: ndst_from_apic_id(apics[cpu], x2apic) if at_creation else NDST_UNUSED)


def create(
    ground: LayoutBuilder,
    domain_id: int,
    vcpus: int,
    hvm: bool,
    online: list[int],
    descriptors: NewDescriptors,
    irqs: int = 0,
) -> Domain:
    """A domain that is linked nowhere yet; its vCPUs are runnable, spread over the online CPUs.

    HVM vCPUs and their pages come from the heap for vCPUs, which may lie above 4 GiB. HVM domains have a tree of pirqs
    for so many irqs.
    """
    address = ground.new_pages()
    table = ground.heap.small(ground.memory, max(vcpus, 1) * POINTER_SIZE)
    made = [_vcpu(ground, address, number, hvm, online[number % len(online)], descriptors) for number in range(vcpus)]
    for number, vcpu in enumerate(made):
        ground.memory.set_u64(table + number * POINTER_SIZE, ground.virtual(vcpu))
        if number:
            ground.put("vcpu", made[number - 1], {"next_in_list": ground.virtual(vcpu)})
    ground.put("domain", address, {"domain_id": domain_id, "max_vcpus": vcpus, "vcpu": ground.virtual(table)})
    ground.put_known("domain", address, {"options": CDF_HVM * hvm, "cdf": CDF_HVM * hvm, "refcnt.counter": 1})
    ground.put_known(
        "domain", address, {"is_privileged": domain_id == 0, "creation_finished": 1, "unique_id": domain_id}
    )
    ground.list_init(address + ground.member("domain", "pdev_list"))
    return Domain(address, tuple(made), hvm, new_tree(ground, address, irqs) if hvm else 0)


def _vcpu(ground: LayoutBuilder, domain: int, number: int, hvm: bool, cpu: int, descriptors: NewDescriptors) -> int:
    heap = ground.vcpu_heap if hvm else ground.heap
    address = heap.pages(ground.memory)
    unit = ground.new("sched_unit")
    ground.put("vcpu", address, {"vcpu_id": number, "processor": cpu, "domain": ground.virtual(domain)})
    ground.put("vcpu", address, {"runstate.state": RUNNABLE, "sched_unit": ground.virtual(unit)})
    ground.put_known("vcpu", address, {"dirty_cpu": CLEAN, "is_initialised": 1})
    ground.put(
        "sched_unit", unit, {"domain": ground.virtual(domain), "vcpu_list": ground.virtual(address), "unit_id": number}
    )
    if hvm:
        vmcs, registers = heap.pages(ground.memory), heap.pages(ground.memory)
        ground.put("vcpu", address, {"arch.hvm.vmx.vmcs_pa": vmcs, "arch.hvm.vlapic.regs": ground.virtual(registers)})
        ground.list_init(address + ground.member("vcpu", "arch.hvm.vmx.pi_blocking.list"))
        descriptor = packed_bytes(PI_DESC, {"nv": descriptors.nv, "ndst": descriptors.ndst(cpu)})
        ground.memory.write(address + ground.member("vcpu", "arch.hvm.vmx.pi_desc"), descriptor)
    return address


def link(ground: LayoutBuilder, address: int, before: int | None) -> None:
    """Put a domain into `domain_list`, which is sorted by number, behind the one that comes before it, if any does."""
    place = _pointer(ground, before)
    ground.put("domain", address, {"next_in_list": ground.memory.u64(place)})
    ground.memory.set_u64(place, ground.virtual(address))


def unlink(ground: LayoutBuilder, address: int, before: int | None) -> None:
    """Take a domain out of `domain_list`; its own pointer stays, for those who are still walking."""
    ground.memory.set_u64(_pointer(ground, before), ground.get("domain", address, "next_in_list"))


def _pointer(ground: LayoutBuilder, before: int | None) -> int:
    """The pointer that leads to the domain behind that one, or to the first."""
    return ground.symbol("domain_list") if before is None else before + ground.member("domain", "next_in_list")


def release(ground: LayoutBuilder, domain: Domain, irqs: int) -> None:
    """Free a domain's pages; their bytes stay until they are used again."""
    if domain.pirqs:
        ground.heap.release(domain.pirqs, tree_size(irqs))
    heap = ground.vcpu_heap if domain.hvm else ground.heap
    for vcpu in domain.vcpus:
        unit = ground.physical(ground.get("vcpu", vcpu, "sched_unit"))
        ground.heap.release(unit, ground.size("sched_unit"))
        if domain.hvm:
            heap.release(ground.get("vcpu", vcpu, "arch.hvm.vmx.vmcs_pa"), PAGE)
            heap.release(ground.physical(ground.get("vcpu", vcpu, "arch.hvm.vlapic.regs")), PAGE)
        heap.release(vcpu, PAGE)
    ground.heap.release(
        ground.physical(ground.get("domain", domain.address, "vcpu")), max(len(domain.vcpus), 1) * POINTER_SIZE
    )
    ground.heap.release(domain.address, PAGE)


def lay_out_idle(ground: LayoutBuilder, cpus: Cpus, count: int, descriptors: NewDescriptors) -> Domain:
    """The idle domain, a vCPU for each CPU, which every CPU runs now. It is in no list."""
    idle = create(ground, DOMID_IDLE, count, False, list(range(count)), descriptors)
    for cpu, vcpu in enumerate(idle.vcpus):
        ground.memory.set_u64(ground.symbol("idle_vcpu") + cpu * POINTER_SIZE, ground.virtual(vcpu))
        unit, resource = ground.get("vcpu", vcpu, "sched_unit"), ground.new("sched_resource")
        about = {"curr": unit, "sched_unit_idle": unit, "master_cpu": cpu, "granularity": 1}
        ground.put("sched_resource", resource, about)
        ground.put("sched_unit", ground.physical(unit), {"res": ground.virtual(resource), "is_running": 1})
        set_idle(ground, cpus, cpu, vcpu)
    return idle


def set_idle(ground: LayoutBuilder, cpus: Cpus, cpu: int, vcpu: int) -> None:
    """Let a CPU run its idle vCPU, with that one's state loaded."""
    pointer = ground.virtual(vcpu)
    unit = ground.physical(ground.get("vcpu", vcpu, "sched_unit"))
    ground.memory.set_u64(percpu(ground, cpus, cpu, "curr_vcpu"), pointer)
    ground.memory.set_u64(percpu(ground, cpus, cpu, "sched_res"), ground.get("sched_unit", unit, "res"))
    ground.put("cpu_info", cpu_info(ground, cpus, cpu), {"current_vcpu": pointer})
    ground.put("vcpu", vcpu, {"runstate.state": RUNNING, "is_running": 1})
    ground.put_known("vcpu", vcpu, {"dirty_cpu": cpu})


def find_vcpu(domains: dict[int, Domain], domain_id: int, vcpu_id: int) -> int:
    """A vCPU's `struct vcpu`. Raises SimError if there is none of that number."""
    domain = domains.get(domain_id)
    if domain is None or not 0 <= vcpu_id < len(domain.vcpus):
        raise SimError(f"there is no vCPU d{domain_id}v{vcpu_id}")
    return domain.vcpus[vcpu_id]
