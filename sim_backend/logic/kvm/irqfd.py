"""A guest's device interrupts: their routes, who produces them, and their remapping entries.

Sources: virt/kvm/eventfd.c, `vmx_pi_update_irte` (arch/x86/kvm/vmx/posted_intr.c), drivers/iommu/intel/irq_remapping.c.
"""

from __future__ import annotations

from sim_backend.layout.devices import Msi
from sim_backend.layout.interrupts import destination
from sim_backend.layout.kvm.vms import set_message
from sim_backend.logic.context import DOMAIN, ENTRY, HOST_CPU, msi_key
from sim_backend.logic.kinds import ENTRY_VALUE, NUMBER, PLACE
from sim_backend.logic.kvm.context import REQ_UNBLOCK, KvmContext
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.stores import spin_lock_taken, spin_unlock
from sim_backend.logic.kvm.wake import kvm_make_request
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome
from sim_backend.logic.vtd_engine import IM
from structs.irte import POSTED, REMAPPED
from structs.xen.pirq import SEVERAL

SHARED = ("p", "fpd", "sid", "sq", "svt")
"""What a posted entry has of the remapped one. Source: `dmar_copy_shared_irte`."""
HIGHEST_VECTOR = 0xFF
U64 = (1 << 64) - 1


def msi_of(w: KvmContext, f: Frame) -> Msi:
    """The MSI of a frame whose first variables are a device and a vector's number."""
    return w.layout.device(f[FIRST]).msis[f[FIRST + 1]]


def recorded(w: KvmContext, msi: Msi) -> int:
    """The host's own entry for an MSI (`irte_entry`)."""
    return int.from_bytes(w.memory.read(msi.msi_desc + w.o.irte_entry, REMAPPED.size), "little")


modify_irte = KvmProcedure("modify_irte", sid=NUMBER, number=NUMBER, entry=ENTRY_VALUE)
NEW = FIRST + 2


@modify_irte.step("locks all entries")
def lock_entries(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if spin_lock_taken(w, w.addresses.entries_lock) else WAIT


@modify_irte.step("writes the entry")
def write_entry(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    msi, new = msi_of(w, f), f[NEW]
    place = w.layout.irte(msi.unit, msi.index)
    old = int.from_bytes(w.memory.read(place, POSTED.size), "little")
    w.effect = (ENTRY, msi.unit << 16 | msi.index, "posted", int(bool(old & IM)), int(bool(new & IM)))
    if not (old | new) & IM:
        w.memory.set_u64(place, new & U64)
        return write_high
    w.memory.write(place, new.to_bytes(POSTED.size, "little"))
    return flush


@modify_irte.step("writes its upper half")
def write_high(w: KvmContext, a: Actor, f: Frame) -> None:
    msi = msi_of(w, f)
    w.memory.set_u64(w.layout.irte(msi.unit, msi.index) + 8, f[NEW] >> 64)


@modify_irte.step("has the unit forget the old one")
def flush(w: KvmContext, a: Actor, f: Frame) -> None:
    msi = msi_of(w, f)
    w.services.flush_iec(a, msi.unit, msi.index)


@modify_irte.step("unlocks all entries")
def unlock_entries(w: KvmContext, a: Actor, f: Frame) -> None:
    spin_unlock(w, w.addresses.entries_lock)


intel_ir_set_vcpu_affinity = KvmProcedure(
    "intel_ir_set_vcpu_affinity", sid=NUMBER, number=NUMBER, v=PLACE, vector=NUMBER
)
"""`v`: to whom the entry is to post; 0: to nobody."""


@intel_ir_set_vcpu_affinity.step("notes whether it posts, and makes the entry")
def make_entry(w: KvmContext, a: Actor, f: Frame) -> None:
    msi, v = msi_of(w, f), f[FIRST + 2]
    key, own = msi_key(msi), recorded(w, msi)
    w.memory.set_u8(msi.msi_desc + w.o.posted_vcpu, int(v != 0))
    if v:
        values = {name: REMAPPED[name].extract(own) for name in SHARED}
        values |= {"im": 1, "vector": f[FIRST + 3], "pda": v + w.o.pi_desc}
        entry = sum(POSTED[name].insert(0, value) for name, value in values.items())
        if not w.version.restores_current:
            w.state.before_posting.setdefault(key, own)
    else:
        entry = w.state.before_posting.pop(key, own)
    a.call(modify_irte, msi.sid, msi.number, entry)


intel_ir_set_affinity = KvmProcedure("intel_ir_set_affinity", sid=NUMBER, number=NUMBER, cpu=NUMBER)


@intel_ir_set_affinity.step("notes the host's new CPU; an entry that posts to a vCPU stays")
def move_on_host(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    msi, cpu = msi_of(w, f), f[FIRST + 2]
    entry = REMAPPED["dst"].insert(recorded(w, msi), destination(w.layout.config, cpu))
    w.memory.write(msi.msi_desc + w.o.irte_entry, entry.to_bytes(REMAPPED.size, "little"))
    w.effect = (ENTRY, msi.unit << 16 | msi.index, (HOST_CPU, msi.vector), 0, cpu)
    posts = w.memory.u8(msi.msi_desc + w.o.posted_vcpu)
    if posts and w.version.host_spares_posted:
        return DONE
    a.call(modify_irte, msi.sid, msi.number, entry)
    return None


vmx_pi_update_irte = KvmProcedure("vmx_pi_update_irte", sid=NUMBER, number=NUMBER, set=NUMBER, v=PLACE, vector=NUMBER)
SET, TARGET, VECTOR = range(FIRST + 2, FIRST + 5)


@vmx_pi_update_irte.step("looks up the guest's route, and whether it can be posted")
def read_route(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    route = w.state.bindings.get(msi_key(msi_of(w, f)), ())
    if not w.posts(w.layout.vm(w.state.owners[f[FIRST]])):
        return DONE
    postable = len(route) == 1 and route[0][1] <= HIGHEST_VECTOR
    if f[SET] and postable:
        f[TARGET], f[VECTOR] = route[0]
        return None
    # Before the repair, the entry was given back where one interrupt goes to several vCPUs.
    return None if w.version.unroute_restores or not f[SET] or len(route) > 1 else DONE


@vmx_pi_update_irte.step("has the entry post to that vCPU, or be the host's")
def set_entry(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(intel_ir_set_vcpu_affinity, f[FIRST], f[FIRST + 1], f[TARGET], f[VECTOR])


def vm_of(w: KvmContext, f: Frame) -> int:
    """The `struct kvm` that has a frame's device."""
    return w.layout.vm(w.state.owners[f[FIRST]])


def irqfds_lock(w: KvmContext, f: Frame) -> int:
    """The lock of the irqfds of the VM that has a frame's device."""
    return vm_of(w, f) + w.o.irqfds_lock


def count_device(w: KvmContext, vm: int, change: int) -> int:
    """Add to `arch.assigned_device_count`; what it was."""
    was = w.memory.add_u32(vm + w.o.assigned, change & 0xFFFF_FFFF)
    w.effect = (DOMAIN, vm, "devices", was, was + change)
    return was


add_producer = KvmProcedure("kvm_arch_irq_bypass_add_producer", sid=NUMBER, number=NUMBER)


@add_producer.step("counts it; vCPUs that are blocked have to look again, if it is the first")
def start_assignment(w: KvmContext, a: Actor, f: Frame) -> None:
    vm = vm_of(w, f)
    first = count_device(w, vm, 1) == 0
    if first and w.layout.config.intpost and w.version.start_unblocks:
        effect = w.effect
        for v in reversed([v for v, its in w.addresses.vms.items() if its == vm]):
            a.call(kvm_make_request, v, REQ_UNBLOCK)
        w.effect = effect


@add_producer.step("locks the VM's irqfds")
def lock_to_add(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if not w.version.locks_producers or spin_lock_taken(w, irqfds_lock(w, f)) else WAIT


@add_producer.step("connects the irqfd with the device's interrupt")
def connect(w: KvmContext, a: Actor, f: Frame) -> None:
    msi = msi_of(w, f)
    w.memory.set_u64(msi.pirq + w.o.producer, w.producers[msi_key(msi)])
    a.call(vmx_pi_update_irte, msi.sid, msi.number, 1)


@add_producer.step("unlocks the irqfds")
def unlock_added(w: KvmContext, a: Actor, f: Frame) -> None:
    if w.version.locks_producers:
        spin_unlock(w, irqfds_lock(w, f))


del_producer = KvmProcedure("kvm_arch_irq_bypass_del_producer", sid=NUMBER, number=NUMBER)


@del_producer.step("locks the VM's irqfds")
def lock_to_delete(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if not w.version.locks_producers or spin_lock_taken(w, irqfds_lock(w, f)) else WAIT


@del_producer.step("disconnects the irqfd from the device's interrupt")
def disconnect(w: KvmContext, a: Actor, f: Frame) -> None:
    msi = msi_of(w, f)
    w.memory.set_u64(msi.pirq + w.o.producer, 0)
    a.call(vmx_pi_update_irte, msi.sid, msi.number, 0)


@del_producer.step("unlocks the irqfds")
def unlock_deleted(w: KvmContext, a: Actor, f: Frame) -> None:
    if w.version.locks_producers:
        spin_unlock(w, irqfds_lock(w, f))


@del_producer.step("counts one device less")
def end_assignment(w: KvmContext, a: Actor, f: Frame) -> None:
    count_device(w, vm_of(w, f), -1)


UNROUTED = -1
kvm_set_irq_routing = KvmProcedure("kvm_set_irq_routing", sid=NUMBER, number=NUMBER, vm=NUMBER, to=NUMBER)
"""`to`: the number of a vCPU, SEVERAL for all, UNROUTED for no MSI."""


@kvm_set_irq_routing.step("has the guest's new route be there")
def install_route(w: KvmContext, a: Actor, f: Frame) -> None:
    msi, vm, to = msi_of(w, f), f[FIRST + 2], f[FIRST + 3]
    bindings, key = w.state.bindings, msi_key(msi)
    vcpus = w.layout.domains[vm].vcpus
    vector = w.services.vector_of(msi)
    chosen = () if to == UNROUTED else vcpus if to == SEVERAL else (vcpus[to],)
    bindings[key] = tuple((v, vector) for v in chosen)


@kvm_set_irq_routing.step("locks the VM's irqfds")
def lock_to_route(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if spin_lock_taken(w, irqfds_lock(w, f)) else WAIT


@kvm_set_irq_routing.step("has the irqfd note it; if it has changed, the entry follows")
def note_route(w: KvmContext, a: Actor, f: Frame) -> None:
    msi, state = msi_of(w, f), w.state
    key = msi_key(msi)
    old, new = state.routes.get(key, ()), state.bindings.get(key, ())
    state.routes[key] = new
    note_message(w, msi, new)
    changed = old != new and (w.version.type_is_change or bool(old) == bool(new))
    if changed and w.memory.u64(msi.pirq + w.o.producer):
        a.call(vmx_pi_update_irte, msi.sid, msi.number, 1)


@kvm_set_irq_routing.step("unlocks the irqfds")
def unlock_routed(w: KvmContext, a: Actor, f: Frame) -> None:
    spin_unlock(w, irqfds_lock(w, f))


BROADCAST_ID = 0xFF


def note_message(w: KvmContext, msi: Msi, route: tuple[tuple[int, int], ...]) -> None:
    """Store what the guest has programmed, as its irqfd has it."""
    if not route:
        w.layout.put("kvm_kernel_irqfd", msi.pirq, {"irq_entry.type": 0})
        return
    v, vector = route[0]
    set_message(w.layout, msi.pirq, w.addresses.names[v][1] if len(route) == 1 else BROADCAST_ID, vector)
