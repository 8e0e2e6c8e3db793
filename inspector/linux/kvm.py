"""KVM of a Linux: its VMs, their vCPUs and threads, what each CPU has loaded, and who waits on which wakeup list.

Sources: include/linux/kvm_host.h (`struct kvm`, `struct kvm_vcpu`), arch/x86/kvm/vmx/vmx.h (`struct vcpu_vmx`),
arch/x86/kvm/vmx/posted_intr.c (wakeup_vcpus_on_cpu, vmx_needs_pi_wakeup), virt/kvm/kvm_main.c (vm_list,
kvm_running_vcpu).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from inspector.base.errors import UNREADABLE, VtdpiError
from inspector.kernels.descriptors import read_descriptors
from inspector.kernels.host import Machine
from inspector.kernels.structures import BrokenList
from inspector.linux import kvm_irqfds, kvm_threads
from inspector.linux.kvm_irqfds import Vm
from inspector.linux.kvm_threads import Thread
from inspector.linux.linux import CPUS_LIMIT, MASK64, Linux
from inspector.linux.modules import modules, symbols_of, with_module
from inspector.linux.trees import BrokenTree, xarray
from inspector.model.absence import NOT_APPLICABLE, Absence, unreadable
from inspector.model.kvm import (
    BLOCKED,
    IN_GUEST,
    MODES,
    NEVER_RUN,
    PREEMPTED,
    RUNNING,
    USER_SPACE,
    WOKEN,
    KvmVcpu,
)
from inspector.model.snapshot import PID_BITS, BlockingList, Cpu, Domain, Node, Vcpu
from structs.apic import IRR, ISR, PPR, TPR, VECTORS, vector_set
from structs.pi_desc import vectors
from structs.xen.profile import POINTER_SIZE

KVM, KVM_INTEL = "kvm", "kvm_intel"
VMS_LIMIT, VCPUS_LIMIT = 1 << 14, 1 << 14
NO_VM = "no VM"
NO_CPU = (1 << 32) - 1
"""kvm_vcpu.cpu of one that no CPU ever loaded: -1."""
SPINLOCK = 4


class Kvm:
    """KVM as one Linux has it loaded.

    Attributes:
        kvm: the Linux with the module's own symbols and types; intel: with those of kvm_intel, None if that is not
            loaded.
    """

    def __init__(self, kvm: Linux, intel: Linux | None) -> None:
        self.kvm = kvm
        self.intel = intel

    @cached_property
    def posts(self) -> bool | None:
        """Whether APICv is in use (`enable_apicv`); None if that cannot be told."""
        return self.flag("enable_apicv")

    @cached_property
    def ipi_virtualisation(self) -> bool | None:
        """Whether guests send IPIs by posting (`enable_ipiv`); None if that cannot be told."""
        return self.flag("enable_ipiv")

    def flag(self, name: str) -> bool | None:
        """A parameter of either module."""
        for linux in (self.intel, self.kvm):
            if linux and linux.profile.has_symbol(name):
                try:
                    return bool(linux.variable(name, 1))
                except UNREADABLE:
                    return None
        return None


def find(linux: Linux, absent: list[Absence]) -> Kvm | None:
    """KVM, if it is loaded and has a VM.

    Raises:
        VtdpiError, ProfileError, NotMapped, NotReadable: it is there and cannot be read.
    """
    if linux.profile.has_symbol("vm_list"):
        # Built into the kernel.
        names, head = {KVM_INTEL}, linux.profile.symbol("vm_list")
    elif linux.profile.has_symbol("modules"):
        loaded = {module.name: module for module in modules(linux)}
        if KVM not in loaded:
            absent.append(Absence(NOT_APPLICABLE, NO_VM, "the module kvm is not loaded", "vcpus"))
            return None
        names, head = {*loaded}, symbols_of(linux, loaded[KVM]).get("vm_list", {}).get("address")
        if head is None:
            raise VtdpiError("the module kvm has no symbol vm_list")
    else:
        return None
    if linux.pointers([head]) == [head]:
        absent.append(Absence(NOT_APPLICABLE, NO_VM, "kvm is loaded, and its vm_list is empty", "vcpus"))
        return None
    kvm = linux if linux.profile.has_symbol("vm_list") else with_module(linux, KVM)
    intel = None
    if linux.profile.has_symbol("wakeup_vcpus_on_cpu"):
        intel = linux
    elif KVM_INTEL in names:
        intel = with_module(linux, KVM_INTEL)
    else:
        why = "kvm_intel is not loaded: its VMs have no posted-interrupt descriptors of Intel's"
        absent.append(Absence(NOT_APPLICABLE, "descriptors", why, "pi"))
    return Kvm(kvm, intel)


def machine(linux: Linux, cpus: Sequence[Cpu], posting: bool | None, absent: list[Absence]) -> Machine:
    """CPUs with what each has loaded, wakeup lists, VMs and vCPUs.

    Args:
        linux: where.
        cpus: as Linux counts them.
        posting: whether units post (IRQ_POSTING_CAP).
        absent: what could not be read is told there.
    """
    try:
        kvm = find(linux, absent)
        if kvm is None:
            return Machine(cpus=tuple(cpus))
        vms = _vms(kvm.kvm, absent)
    except UNREADABLE as error:
        absent.append(unreadable("KVM", f"KVM: {error}", "vcpus"))
        return Machine(cpus=tuple(cpus))
    running = _running(kvm.kvm, cpus)
    vcpus = _once([vcpu for vm in vms for vcpu in _vcpus(kvm, vm, posting, running, absent)], absent)
    names = {vcpu.address: vcpu.name for vcpu in vcpus}
    vcpus, lists = _with_lists(kvm, cpus, vcpus, absent)
    loaded = {cpu: names[address] for cpu, address in running.items() if address in names}
    return Machine(
        cpus=tuple(replace(cpu, loaded=loaded.get(cpu.cpu)) for cpu in cpus),
        lists=tuple(lists),
        domains=tuple(_domain(kvm, vm, vcpus, absent) for vm in vms),
        vcpus=tuple(vcpus),
    )


def _once(vcpus: Sequence[Vcpu], absent: list[Absence]) -> list[Vcpu]:
    """The vCPUs without those whose id another one of their VM has: of these the memory cannot be right."""
    found: dict[str, Vcpu] = {}
    for vcpu in vcpus:
        if vcpu.name in found:
            why = f"{vcpu.name} is there a second time, at {vcpu.address:#x}"
            absent.append(unreadable(vcpu.name, why, "vcpus", vcpu.address))
        found.setdefault(vcpu.name, vcpu)
    return list(found.values())


def _vms(kvm: Linux, absent: list[Absence]) -> list[Vm]:
    """The VMs, the oldest first. Raises NotMapped, NotReadable, ProfileError."""
    link = kvm.profile.offset("kvm", "vm_list")
    head = kvm.profile.symbol("vm_list")
    try:
        nodes = kvm.list_nodes(head, VMS_LIMIT)
    except BrokenList as error:
        nodes = error.nodes
        absent.append(unreadable("vm_list", f"vm_list: {error}", "domains", head))
    more = kvm.optional("kvm", "arch.assigned_device_count.counter", "arch.nr_possible_bypass_irqs")
    paths = ("userspace_pid", "online_vcpus.counter", "arch.irqchip_mode", *more)
    addresses = [node - link & MASK64 for node in nodes]
    rows = kvm.structs("kvm", addresses, *paths)
    seen: dict[int, int] = {}
    found = []
    for address, row in reversed(list(zip(addresses, rows, strict=True))):
        if row is None:
            absent.append(unreadable("a VM", f"struct kvm at {address:#x} cannot be read", "domains", address))
            continue
        pid = row["userspace_pid"] & (1 << PID_BITS) - 1
        number = pid | seen.get(pid, 0) << PID_BITS
        seen[pid] = seen.get(pid, 0) + 1
        assigned = row[more[0]] if more else None
        found.append(Vm(number, address, row["online_vcpus.counter"], bool(row["arch.irqchip_mode"]), assigned))
    return found


def _running(kvm: Linux, cpus: Sequence[Cpu]) -> dict[int, int]:
    """The `struct kvm_vcpu` that each CPU has loaded."""
    chosen = [cpu for cpu in cpus if cpu.online]
    if not kvm.profile.has_symbol("kvm_running_vcpu"):
        return {}
    pointers = kvm.pointers([kvm.per_cpu("kvm_running_vcpu", cpu.cpu) for cpu in chosen])
    return {cpu.cpu: pointer for cpu, pointer in zip(chosen, pointers, strict=True) if pointer}


def _vcpus(kvm: Kvm, vm: Vm, posting: bool | None, running: Mapping[int, int], absent: list[Absence]) -> list[Vcpu]:
    """A VM's vCPUs by their ids, without lists."""
    linux = kvm.kvm
    try:
        addresses = _addresses(linux, vm, absent)
        more = linux.optional("kvm_vcpu", "ready", "preempted")
        paths = ("cpu", "vcpu_id", "mode", "wait.task", "pid", "arch.apic", *more)
        rows = linux.structs("kvm_vcpu", addresses, *paths)
        exits = _exits(linux, addresses)
        threads = kvm_threads.threads(linux, [row["pid"] if row else 0 for row in rows])
    except UNREADABLE as error:
        absent.append(unreadable(vm.name, f"{vm.name}: its vCPUs: {error}", "vcpus", vm.address))
        return []
    holders = {address: cpu for cpu, address in running.items()}
    found = []
    for address, row, thread, count in zip(addresses, rows, threads, exits, strict=True):
        if row is None:
            why = f"{vm.name}: struct kvm_vcpu at {address:#x} cannot be read"
            absent.append(unreadable(vm.name, why, "vcpus", address))
            continue
        found.append(_vcpu(kvm, vm, address, row, thread, holders.get(address), posting, count))
    try:
        found = _with_apics(linux, found, [row["arch.apic"] for row in rows if row])
        found = _with_descriptors(kvm, found, absent)
    except UNREADABLE as error:
        absent.append(unreadable(vm.name, f"{vm.name}: its vCPUs' descriptors: {error}", "pi", vm.address))
    return sorted(found, key=lambda vcpu: vcpu.vcpu)


def _exits(linux: Linux, addresses: Sequence[int]) -> list[int | None]:
    """How many VM exits each vCPU had: far behind what else is read of it, and no part of every build."""
    if not linux.profile.has("kvm_vcpu", "stat.exits"):
        return [None] * len(addresses)
    return [row["stat.exits"] if row else None for row in linux.structs("kvm_vcpu", addresses, "stat.exits")]


def _addresses(linux: Linux, vm: Vm, absent: list[Absence]) -> list[int]:
    """The `struct kvm_vcpu` of each vCPU: in an XArray (5.16 on), before in an array. Raises UNREADABLE."""
    if not linux.profile.has("kvm", "vcpu_array"):
        return linux.array_at(vm.address + linux.profile.offset("kvm", "vcpus"), POINTER_SIZE, vm.vcpus)
    try:
        found = xarray(linux, vm.address + linux.profile.offset("kvm", "vcpu_array"))
    except BrokenTree as error:
        absent.append(unreadable(vm.name, f"{vm.name}: its vCPUs: {error}", "vcpus", vm.address))
        found = error.entries
    return list(found.values())[:VCPUS_LIMIT]


def _vcpu(
    kvm: Kvm,
    vm: Vm,
    address: int,
    row: Mapping[str, int],
    thread: Thread,
    loaded_on: int | None,
    posting: bool | None,
    exits: int | None,
) -> Vcpu:
    mode = MODES[row["mode"]] if row["mode"] < len(MODES) else None
    cpu = row["cpu"] if row["cpu"] < CPUS_LIMIT else None
    blocking = bool(row["wait.task"])
    state = KvmVcpu(
        thread=thread.pid,
        mode=mode,
        loaded_on=loaded_on,
        blocking=blocking,
        preempted=bool(row.get("preempted")),
        ready=bool(row.get("ready")),
        runnable=thread.runnable,
        on_cpu=thread.on_cpu,
        exits=exits,
        wakes=_wakes(kvm, vm, posting),
    )
    return Vcpu(
        domain=vm.number,
        vcpu=row["vcpu_id"] & (1 << 14) - 1,
        address=address,
        hvm=True,
        cpu=cpu,
        runstate=_runstate(state, bool(row["pid"]) and row["cpu"] != NO_CPU),
        is_running=loaded_on is not None,
        in_guest=loaded_on is not None and mode == IN_GUEST,
        kvm=state,
    )


def _wakes(kvm: Kvm, vm: Vm, posting: bool | None) -> bool | None:
    """vmx_needs_pi_wakeup, as far as memory tells."""
    if kvm.posts is False:
        return False
    if kvm.ipi_virtualisation:
        return kvm.posts
    devices = None if vm.assigned is None else bool(vm.assigned) and vm.irqchip
    if devices is False or posting is False:
        return None if kvm.ipi_virtualisation is None else False
    return True if devices and posting and kvm.posts else None


def _runstate(state: KvmVcpu, ran: bool) -> str:
    if state.loaded_on is not None:
        return RUNNING
    if not ran:
        return NEVER_RUN
    if state.blocking:
        return WOKEN if state.runnable else BLOCKED
    return PREEMPTED if state.preempted else USER_SPACE


def _with_apics(linux: Linux, vcpus: list[Vcpu], apics: Sequence[int]) -> list[Vcpu]:
    """With what their virtual local APICs hold; `apics` are their `struct kvm_lapic`."""
    rows = linux.structs("kvm_lapic", apics, "regs") if apics else []
    parts = linux.memory.read_parts([(row["regs"] if row else 0, IRR + VECTORS) for row in rows])
    made = []
    for vcpu, row, raw in zip(vcpus, rows, parts, strict=True):
        if row and row["regs"] and raw:
            irr, isr = (tuple(vectors(vector_set(raw[start : start + VECTORS]))) for start in (IRR, ISR))
            vcpu = replace(vcpu, irr=irr, isr=isr, tpr=raw[TPR], ppr=raw[PPR])
        made.append(vcpu)
    return made


def _with_descriptors(kvm: Kvm, vcpus: list[Vcpu], absent: list[Absence]) -> list[Vcpu]:
    """With descriptors, and the nodes of wakeup lists with their pointers."""
    linux = kvm.intel
    if linux is None or not vcpus:
        return vcpus
    inner = "vt." if linux.profile.has("vcpu_vmx", "vt.pi_desc") else ""
    start = linux.profile.offset("vcpu_vmx", "vcpu")
    offset, node = (linux.profile.offset("vcpu_vmx", f"{inner}{name}") for name in ("pi_desc", "pi_wakeup_list"))
    places: dict[str, int] = {}
    for vcpu in vcpus:
        try:
            places[vcpu.name] = linux.memory.translate(vcpu.address - start + offset)
        except UNREADABLE:
            continue
    read = {each.address: each for each in read_descriptors(linux.memory.target, list(places.values()))}
    nodes = [vcpu.address - start + node & MASK64 for vcpu in vcpus]
    links = linux.structs("list_head", nodes, "next", "prev")
    made = []
    for vcpu, at, link in zip(vcpus, nodes, links, strict=True):
        pi = read.get(places.get(vcpu.name, -1))
        if pi is None:
            why = f"its PI descriptor, in the struct vcpu_vmx at {vcpu.address - start:#x}, cannot be read"
            absent.append(unreadable(vcpu.name, why, "pi", vcpu.address - start + offset & MASK64))
        following, preceding = (link["next"], link["prev"]) if link else (0, 0)
        made.append(replace(vcpu, pi=pi, node=at, following=following, preceding=preceding))
    return made


def _with_lists(
    kvm: Kvm, cpus: Sequence[Cpu], vcpus: list[Vcpu], absent: list[Absence]
) -> tuple[list[Vcpu], list[BlockingList]]:
    """The wakeup list of each CPU, and the vCPUs with the CPU on whose list they are."""
    linux = kvm.intel
    if linux is None:
        return vcpus, []
    symbol = "wakeup_vcpus_on_cpu"
    if not linux.profile.has_symbol(symbol):
        why = f"kvm_intel has no {symbol} (before 5.17)"
        absent.append(Absence(NOT_APPLICABLE, "wakeup lists", why, "lists"))
        return vcpus, []
    owners = {vcpu.node: vcpu.name for vcpu in vcpus if vcpu.node}
    lists = []
    for cpu in cpus:
        try:
            lists.append(_list(linux, symbol, cpu.cpu, owners))
        except UNREADABLE as error:
            absent.append(unreadable(f"CPU {cpu.cpu}", f"its wakeup list: {error}", "lists"))
    on = {node.vcpu: each.cpu for each in lists for node in each.nodes if node.vcpu}
    return [replace(vcpu, blocking_list=on.get(vcpu.name)) for vcpu in vcpus], lists


def _list(linux: Linux, symbol: str, cpu: int, owners: Mapping[int, str]) -> BlockingList:
    head, lock = linux.per_cpu(symbol, cpu), linux.per_cpu(f"{symbol}_lock", cpu)
    broken = None
    try:
        nodes = linux.list_nodes(head)
    except BrokenList as error:
        nodes, broken = error.nodes, error.why
    held = linux.memory.read(lock, SPINLOCK)
    links = linux.structs("list_head", [head, *nodes], "next", "prev")
    ends = links[0] or {"next": 0, "prev": 0}
    made = [
        Node(at, owners.get(at), link["next"] if link else 0, link["prev"] if link else 0)
        for at, link in zip(nodes, links[1:], strict=True)
    ]
    return BlockingList(cpu, head, lock, any(held), ends["next"], ends["prev"], tuple(made), broken)


def _domain(kvm: Kvm, vm: Vm, vcpus: Sequence[Vcpu], absent: list[Absence]) -> Domain:
    own = [vcpu for vcpu in vcpus if vcpu.domain == vm.number]
    irqfds = kvm_irqfds.irqfds(kvm.kvm, vm, {vcpu.address: vcpu.name for vcpu in own}, {v.vcpu for v in own}, absent)
    return Domain(vm.number, vm.address, True, irqfds=tuple(irqfds), assigned=vm.assigned)
