"""Xen's posted-interrupt core logic, one atomic action a step, in the order of the code (xen/arch/x86/hvm/vmx/vmx.c).

Each procedure has the name of Xen's function. What two versions of Xen do differently stands here as a difference: a
step asks `world.version`. A step that only reads and decides is a step of its own where another actor could change what
it read. Debug builds check more (ASSERT); these are release builds, as distributions ship them.

The procedures store what Xen stores: ticket locks (`_spin_lock` adds 1 to the tail, `_spin_unlock` to the head), list
nodes with the poison of `list_del`, NV as one byte, NDST as 4 bytes, ON, SN and PIR by locked bit operations.

`run_procedure` runs one of them alone, from its entry to its end, and tells its stores and what it called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim_backend.errors import SimError
from sim_backend.layout import Layout
from sim_backend.program import DONE, FIRST, PROCEDURES, WAIT, Actor, Frame, Procedure
from sim_backend.versions import CURRENT, Version
from sim_backend.world import CPU, DOMAIN, ENTRY, ON, PIR_WORDS, SN, VCPU, World
from structs.irte import POSTED, REMAPPED
from structs.msi import COMPATIBILITY_ADDRESS, COMPATIBILITY_DATA, REMAPPABLE_ADDRESS

VPF_BLOCKED = 0
"""_VPF_blocked: bit of `pause_flags`."""
VCPU_KICK_SOFTIRQ = 8
"""NR_COMMON_SOFTIRQS + 2."""
PI_CSW_FROM, PI_CSW_TO = 1, 2
"""`pi_ops.flags`: the switch hooks are installed."""
LIST_POISON1, LIST_POISON2 = 0x0100_1001_0010_0100, 0x0200_2002_0020_0200
NDST_MARKER = (1 << 32) - 1
"""APIC_INVALID_DEST: the hooks never saw this descriptor."""
LOCAL_IRQ_COUNT = 8
"""Of `irq_cpustat_t`: bytes from `__softirq_pending` to `__local_irq_count`."""
U32 = (1 << 32) - 1
SPINLOCK_NO_CPU = 0xFFF
SHARED_LOCK_SIZE = 4
"""Bytes of a spinlock that cannot be taken twice (4.19 on); a longer one has `recurse_cpu` behind the tickets."""
IRR = 0x200
"""Of the vLAPIC's register page: 32 vectors each 16 bytes."""

ON_MASK, SN_MASK = 1 << ON, 1 << SN
V, CPU_NUMBER = FIRST, FIRST


# Spinlocks and lists.


def lock_taken(w: World, lock: int) -> bool:
    """Take a free ticket lock; False if it is held. Source: `spin_lock_common`."""
    word = w.memory.u32(lock)
    if word >> 16 != word & 0xFFFF:
        return False
    w.memory.set_u32(lock, word + 0x10000 & 0xFFFF_FFFF)
    return True


def unlock(w: World, lock: int) -> None:
    """Release a ticket lock. Source: `spin_unlock_common`."""
    w.memory.set_u16(lock, w.memory.u16(lock) + 1 & 0xFFFF)


def list_add(w: World, node: int, before: int, after: int) -> None:
    """Put a node between two others. Source: `__list_add`."""
    memory, o, own = w.memory, w.o, w.virtual(node)
    memory.set_u64(after + o.list_prev, own)
    memory.set_u64(node + o.list_next, w.virtual(after))
    memory.set_u64(node + o.list_prev, w.virtual(before))
    memory.set_u64(before + o.list_next, own)


def list_unlink(w: World, node: int) -> None:
    """Join a node's neighbours. Source: `__list_del`."""
    memory, o = w.memory, w.o
    before, after = memory.u64(node + o.list_prev), memory.u64(node + o.list_next)
    memory.set_u64(w.physical(after) + o.list_prev, before)
    memory.set_u64(w.physical(before) + o.list_next, after)


def list_del(w: World, node: int) -> None:
    """Take a node off its list and poison it."""
    list_unlink(w, node)
    w.memory.set_u64(node + w.o.list_next, LIST_POISON1)
    w.memory.set_u64(node + w.o.list_prev, LIST_POISON2)


def following(w: World, node: int) -> int:
    """The node after this one, as its virtual address."""
    return w.memory.u64(node + w.o.list_next)


def set_bit(w: World, v: int, name: str, bit: int) -> None:
    """A locked set of a bit of the descriptor's control word."""
    w.effect = (VCPU, v, name, int(w.memory.test_and_set_bit(v + w.o.control, bit)), 1)


def clear_bit(w: World, v: int, name: str, bit: int) -> None:
    """A locked clear of a bit of the descriptor's control word."""
    w.effect = (VCPU, v, name, int(w.memory.test_and_clear_bit(v + w.o.control, bit)), 0)


def set_nv(w: World, v: int, vector: int) -> None:
    """A plain byte store of NV."""
    w.effect = (VCPU, v, "nv", w.memory.u8(v + w.o.nv), vector)
    w.memory.set_u8(v + w.o.nv, vector)


def set_ndst(w: World, v: int, cpu: int) -> None:
    """A plain 32-bit store of NDST, to name a CPU."""
    new = w.destination(cpu)
    w.effect = (VCPU, v, "ndst", w.memory.u32(v + w.o.ndst), new)
    w.memory.set_u32(v + w.o.ndst, new)


def set_node_lock(w: World, v: int, lock: int) -> None:
    """Store `pi_blocking.lock`; `lock` is a virtual address or 0."""
    w.effect = (VCPU, v, "pi_blocking.lock", w.memory.u64(v + w.o.node_lock), lock)
    w.memory.set_u64(v + w.o.node_lock, lock)


# vcpu_unblock, vcpu_kick (xen/common/sched/core.c, xen/arch/x86/domain.c).

vcpu_unblock = Procedure("vcpu_unblock", "v")


@vcpu_unblock.step("clears VPF_blocked; it was clear: nothing to do")
def _(w: World, a: Actor, f: Frame) -> Any:
    was = w.memory.test_and_clear_bit(f[V] + w.o.pause_flags, VPF_BLOCKED)
    w.effect = (VCPU, f[V], "VPF_blocked", int(was), 0)
    if not was:
        return DONE
    return wake if not w.memory.u32(f[V] + w.o.poll_evtchn) else None


@vcpu_unblock.step("ends its poll")
def _(w: World, a: Actor, f: Frame) -> Any:
    memory, o, v = w.memory, w.o, f[V]
    memory.set_u32(v + o.poll_evtchn, 0)
    mask = memory.u64(w.domain_of(v) + o.poll_mask)
    number = memory.u32(v + o.vcpu_id)
    if mask and memory.test_and_clear_bit(w.physical(mask), number):
        memory.test_and_clear_bit(v + o.pause_flags, VPF_BLOCKED)


@vcpu_unblock.step("wakes it")
def wake(w: World, a: Actor, f: Frame) -> Any:
    w.vcpu_wake(a, f[V])


vcpu_kick = Procedure("vcpu_kick", "v", "running")


@vcpu_kick.step("reads is_running")
def _(w: World, a: Actor, f: Frame) -> Any:
    f[FIRST + 1] = w.memory.u8(f[V] + w.o.is_running)
    a.call(vcpu_unblock, f[V])


@vcpu_kick.step("has its CPU look again, if it runs elsewhere")
def _(w: World, a: Actor, f: Frame) -> Any:
    if f[FIRST + 1] and (a.in_irq or f[V] != a.current):
        w.cpu_raise_softirq(a, w.memory.u32(f[V] + w.o.processor), VCPU_KICK_SOFTIRQ)


# A vCPU blocks.

vmx_vcpu_block = Procedure("vmx_vcpu_block", "v", "cpu", "irqs")
_CPU, _IRQS = FIRST + 1, FIRST + 2


@vmx_vcpu_block.step("locks the blocking list of its CPU")
def _(w: World, a: Actor, f: Frame) -> Any:
    cpu = w.memory.u32(f[V] + w.o.processor)
    if not lock_taken(w, w.blocking_lock(cpu)):
        return WAIT
    f[_CPU] = cpu
    f[_IRQS], a.irqs = int(a.irqs), False
    w.effect = (CPU, cpu, "blocking list locked", 0, 1)
    return None


@vmx_vcpu_block.step("notes which lock guards its node")
def _(w: World, a: Actor, f: Frame) -> Any:
    own = w.virtual(w.blocking_lock(f[_CPU]))
    seen = w.memory.cmpxchg_u64(f[V] + w.o.node_lock, 0, own)
    w.effect = (VCPU, f[V], "pi_blocking.lock", seen, seen or own)


@vmx_vcpu_block.step("appends itself to the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    # Virtual addresses, not nodes: with a node that is linked already, Xen's loads see its own stores.
    memory, o = w.memory, w.o
    node, head = f[V] + o.node, w.blocking_list(f[_CPU])
    last = memory.u64(head + o.list_prev)
    list_add(w, node, w.physical(last), head)
    w.effect = (VCPU, f[V], "on the blocking list of CPU", -1, f[_CPU])


@vmx_vcpu_block.step("unlocks the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    unlock(w, w.blocking_lock(f[_CPU]))
    a.irqs = bool(f[_IRQS])
    w.effect = (CPU, f[_CPU], "blocking list locked", 1, 0)


@vmx_vcpu_block.step("lets posts send the wakeup vector")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_nv(w, f[V], w.memory.u8(w.pi_wakeup_vector))


# A vCPU is switched out or in.

vmx_pi_switch_from = Procedure("vmx_pi_switch_from", "v")


@vmx_pi_switch_from.step("looks whether it is blocked; if so, posts must go on notifying")
def _(w: World, a: Actor, f: Frame) -> Any:
    return DONE if w.memory.u32(f[V] + w.o.pause_flags) & 1 << VPF_BLOCKED else None


@vmx_pi_switch_from.step("suppresses notifications")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_bit(w, f[V], "sn", SN)


vmx_pi_switch_to = Procedure("vmx_pi_switch_to", "v")


@vmx_pi_switch_to.step("directs notifications to its CPU")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_ndst(w, f[V], w.memory.u32(f[V] + w.o.processor))


@vmx_pi_switch_to.step("lets posts notify again")
def _(w: World, a: Actor, f: Frame) -> Any:
    clear_bit(w, f[V], "sn", SN)


vmx_ctxt_switch_from = Procedure("vmx_ctxt_switch_from", "v")


@vmx_ctxt_switch_from.step("saves it; calls the switch-out hook, if there is one")
def _(w: World, a: Actor, f: Frame) -> Any:
    if w.memory.u32(w.domain_of(f[V]) + w.o.pi_flags) & PI_CSW_FROM:
        a.call(vmx_pi_switch_from, f[V])


vmx_ctxt_switch_to = Procedure("vmx_ctxt_switch_to", "v")


@vmx_ctxt_switch_to.step("loads it; calls the switch-in hook, if there is one")
def _(w: World, a: Actor, f: Frame) -> Any:
    if w.memory.u32(w.domain_of(f[V]) + w.o.pi_flags) & PI_CSW_TO:
        a.call(vmx_pi_switch_to, f[V])


# A vCPU is about to enter the guest.

vmx_pi_unblock_vcpu = Procedure("vmx_pi_unblock_vcpu", "v", "lock", "irqs")
_LOCK = FIRST + 1


@vmx_pi_unblock_vcpu.step("lets posts send the notification vector")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_nv(w, f[V], w.memory.u8(w.posted_intr_vector))


@vmx_pi_unblock_vcpu.step("looks which lock guards its node; none: it is on no list")
def _(w: World, a: Actor, f: Frame) -> Any:
    pointer = w.memory.u64(f[V] + w.o.node_lock)
    if not pointer:
        return DONE
    f[_LOCK] = w.physical(pointer)
    return None


@vmx_pi_unblock_vcpu.step("locks the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    if not lock_taken(w, f[_LOCK]):
        return WAIT
    f[_IRQS], a.irqs = int(a.irqs), False
    return None


@vmx_pi_unblock_vcpu.step("looks whether it is still on the list; another one may have taken it off")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if w.memory.u64(f[V] + w.o.node_lock) else unlock_list


@vmx_pi_unblock_vcpu.step("takes itself off the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    list_del(w, f[V] + w.o.node)
    w.effect = (VCPU, f[V], "on a blocking list", 1, 0)


@vmx_pi_unblock_vcpu.step("forgets the lock")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_node_lock(w, f[V], 0)


@vmx_pi_unblock_vcpu.step("unlocks the list")
def unlock_list(w: World, a: Actor, f: Frame) -> Any:
    unlock(w, f[_LOCK])
    a.irqs = bool(f[_IRQS])


vmx_pi_do_resume = Procedure("vmx_pi_do_resume", "v")


@vmx_pi_do_resume.step("is called before VM entry")
def _(w: World, a: Actor, f: Frame) -> Any:
    a.call(vmx_pi_unblock_vcpu, f[V])


vmx_vmenter_helper = Procedure("vmx_vmenter_helper")


@vmx_vmenter_helper.step("calls the resume hook, if there is one")
def _(w: World, a: Actor, f: Frame) -> Any:
    a.result = 1
    if w.memory.u64(w.domain_of(a.current) + w.o.block_hook):
        a.call(vmx_pi_do_resume, a.current)


# Interrupts.

pi_wakeup_interrupt = Procedure("pi_wakeup_interrupt", "node", "next")
_NODE, _NEXT = FIRST, FIRST + 1


@pi_wakeup_interrupt.step("acknowledges the interrupt")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.ack_apic_irq(a)


@pi_wakeup_interrupt.step("counts it")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.count_irq(a)


@pi_wakeup_interrupt.step("locks this CPU's blocking list")
def _(w: World, a: Actor, f: Frame) -> Any:
    if not lock_taken(w, w.blocking_lock(a.cpu)):
        return WAIT
    f[_NODE] = w.physical(following(w, w.blocking_list(a.cpu)))
    f[_NEXT] = following(w, f[_NODE])
    w.effect = (CPU, a.cpu, "blocking list locked", 0, 1)
    return None


@pi_wakeup_interrupt.step("looks at the next vCPU: is a notification outstanding?")
def next_sleeper(w: World, a: Actor, f: Frame) -> Any:
    if f[_NODE] == w.blocking_list(a.cpu):
        return end_of_wakeup
    v = f[_NODE] - w.o.node
    on = w.memory.u8(v + w.o.control) & ON_MASK
    w.effect = (VCPU, v, "on", on, on)
    return None if on else pass_by


@pi_wakeup_interrupt.step("takes it off the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    list_del(w, f[_NODE])
    w.effect = (VCPU, f[_NODE] - w.o.node, "on a blocking list", 1, 0)


@pi_wakeup_interrupt.step("makes it forget the lock")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_node_lock(w, f[_NODE] - w.o.node, 0)


@pi_wakeup_interrupt.step("unblocks it")
def _(w: World, a: Actor, f: Frame) -> Any:
    a.call(vcpu_unblock, f[_NODE] - w.o.node)


@pi_wakeup_interrupt.step("goes on")
def pass_by(w: World, a: Actor, f: Frame) -> Any:
    f[_NODE] = w.physical(f[_NEXT])
    f[_NEXT] = following(w, f[_NODE])
    return next_sleeper


@pi_wakeup_interrupt.step("unlocks the list")
def end_of_wakeup(w: World, a: Actor, f: Frame) -> Any:
    unlock(w, w.blocking_lock(a.cpu))
    w.effect = (CPU, a.cpu, "blocking list locked", 1, 0)


pi_notification_interrupt = Procedure("pi_notification_interrupt")


@pi_notification_interrupt.step("acknowledges the interrupt")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.ack_apic_irq(a)


@pi_notification_interrupt.step("counts it")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.count_irq(a)


@pi_notification_interrupt.step("has this CPU look at PIR again before VM entry")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.raise_softirq(a, VCPU_KICK_SOFTIRQ)


# PIR to IRR, and software posts.

vmx_sync_pir_to_irr = Procedure("vmx_sync_pir_to_irr", "v", "group", *(f"pir{n}" for n in range(PIR_WORDS)))
_GROUP, _PIR = FIRST + 1, FIRST + 2


@vmx_sync_pir_to_irr.step("clears ON; it was clear: PIR is not looked at")
def _(w: World, a: Actor, f: Frame) -> Any:
    clear_bit(w, f[V], "on", ON)
    return None if w.effect and w.effect[3] else DONE


@vmx_sync_pir_to_irr.step("takes 64 bits of PIR")
def take_group(w: World, a: Actor, f: Frame) -> Any:
    group = f[_GROUP]
    taken = f[_PIR + group] = w.memory.xchg_u64(f[V] + w.o.pir + 8 * group, 0)
    w.effect = (VCPU, f[V], f"pir[{group}]", taken, 0)
    f[_GROUP] = group + 1
    return take_group if group + 1 < PIR_WORDS else None


@vmx_sync_pir_to_irr.step("adds them to the vLAPIC's IRR")
def _(w: World, a: Actor, f: Frame) -> Any:
    memory = w.memory
    pending = f[_PIR] | f[_PIR + 1] << 64 | f[_PIR + 2] << 128 | f[_PIR + 3] << 192
    if not pending:
        return
    first = w.physical(memory.u64(f[V] + w.o.regs)) + IRR
    for number in range(8):
        bits = pending >> 32 * number & 0xFFFF_FFFF
        if bits:
            place = first + 16 * number
            old = memory.u32(place)
            memory.set_u32(place, old | bits)
            w.effect = (VCPU, f[V], f"vIRR[{number}]", old, old | bits)


vmx_test_pir = Procedure("vmx_test_pir", "v", "vector")


@vmx_test_pir.step("tests a bit of PIR")
def _(w: World, a: Actor, f: Frame) -> Any:
    vector = f[FIRST + 1]
    a.result = w.memory.u8(f[V] + w.o.pir + (vector >> 3)) >> (vector & 7) & 1


vmx_deliver_posted_intr = Procedure("vmx_deliver_posted_intr", "v", "vector", "seen", "old", "new")
_VECTOR, _SEEN, _OLD, _NEW = FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4


@vmx_deliver_posted_intr.step("sets the vector in PIR; it was set: nothing more to do")
def _(w: World, a: Actor, f: Frame) -> Any:
    was = w.memory.test_and_set_bit(f[V] + w.o.pir, f[_VECTOR])
    w.effect = (VCPU, f[V], f"pir bit {f[_VECTOR]:#x}", int(was), 1)
    return DONE if was else None


@vmx_deliver_posted_intr.step("looks whether the EOI exit map changed")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if w.memory.u64(f[V] + w.o.eoi_exitmap_changed) else look


@vmx_deliver_posted_intr.step("sets ON")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_bit(w, f[V], "on", ON)
    return kick


@vmx_deliver_posted_intr.step("looks at the descriptor")
def look(w: World, a: Actor, f: Frame) -> Any:
    f[_SEEN] = w.memory.u64(f[V] + w.o.control)


@vmx_deliver_posted_intr.step("is a notification suppressed or on its way?")
def again(w: World, a: Actor, f: Frame) -> Any:
    if f[_SEEN] & (SN_MASK | ON_MASK):
        return kick
    control = w.memory.u64(f[V] + w.o.control)
    f[_OLD], f[_NEW] = control & ~(ON_MASK | SN_MASK), control | ON_MASK
    return None


@vmx_deliver_posted_intr.step("sets ON, if nothing changed meanwhile")
def _(w: World, a: Actor, f: Frame) -> Any:
    f[_SEEN] = seen = w.memory.cmpxchg_u64(f[V] + w.o.control, f[_OLD], f[_NEW])
    if seen != f[_OLD]:
        return again
    w.effect = (VCPU, f[V], "on", 0, 1)
    return notify


@vmx_deliver_posted_intr.step("kicks the vCPU")
def kick(w: World, a: Actor, f: Frame) -> Any:
    a.call(vcpu_kick, f[V])
    return DONE


@vmx_deliver_posted_intr.step("notifies the vCPU")
def notify(w: World, a: Actor, f: Frame) -> Any:
    a.call(vmx_deliver_posted_interrupt, f[V])
    return DONE


vmx_deliver_posted_interrupt = Procedure("__vmx_deliver_posted_interrupt", "v", "running")


@vmx_deliver_posted_interrupt.step("reads is_running")
def _(w: World, a: Actor, f: Frame) -> Any:
    f[FIRST + 1] = w.memory.u8(f[V] + w.o.is_running)
    a.call(vcpu_unblock, f[V])


@vmx_deliver_posted_interrupt.step("sends the notification vector to its CPU, if it runs elsewhere")
def _(w: World, a: Actor, f: Frame) -> Any:
    if not f[FIRST + 1] or not (a.in_irq or f[V] != a.current):
        return
    cpu = w.memory.u32(f[V] + w.o.processor)
    if w.version.always_notifies:
        if cpu != a.cpu:
            w.send_ipi(a, cpu, w.memory.u8(w.posted_intr_vector))
        elif not w.softirq_pending(cpu):
            w.raise_softirq(a, VCPU_KICK_SOFTIRQ)
    elif not w.test_and_set_softirq(cpu, VCPU_KICK_SOFTIRQ) and cpu != a.cpu:
        w.send_ipi(a, cpu, w.memory.u8(w.posted_intr_vector))


# The first device comes, the last one leaves.

vmx_pi_hooks_assign = Procedure("vmx_pi_hooks_assign", "d", "v")
D, _V = FIRST, FIRST + 1


def set_hooks(w: World, d: int, flags: int) -> None:
    """Store `pi_ops.flags`."""
    w.effect = (DOMAIN, d, "pi_ops.flags", w.memory.u32(d + w.o.pi_flags), flags)
    w.memory.set_u32(d + w.o.pi_flags, flags)


def set_block_hook(w: World, d: int, function: int) -> None:
    """Store `pi_ops.vcpu_block`, which is also the resume hook's condition."""
    w.effect = (DOMAIN, d, "pi_ops.vcpu_block", w.memory.u64(d + w.o.block_hook), function)
    w.memory.set_u64(d + w.o.block_hook, function)


@vmx_pi_hooks_assign.step("does nothing unless posting is on and the domain is an HVM one")
def _(w: World, a: Actor, f: Frame) -> Any:
    if not w.memory.u8(w.iommu_intpost) or not w.is_hvm(f[D]):
        return DONE
    return None if w.version.assign_in_order else all_block


@vmx_pi_hooks_assign.step("installs the switch hooks")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_hooks(w, f[D], PI_CSW_FROM | PI_CSW_TO)
    f[_V] = w.first_vcpu(f[D])


@vmx_pi_hooks_assign.step("gives a descriptor that the hooks never saw its NDST")
def repair_ndst(w: World, a: Actor, f: Frame) -> Any:
    memory, o, v = w.memory, w.o, f[_V]
    if not v:
        return None
    new = w.destination(memory.u32(v + o.processor))
    old = memory.u32(v + o.ndst)
    if old == NDST_MARKER:
        memory.set_u32(v + o.ndst, new)
    w.effect = (VCPU, v, "ndst", old, new if old == NDST_MARKER else old)
    f[_V] = w.next_vcpu(v)
    return repair_ndst


@vmx_pi_hooks_assign.step("installs the block and resume hooks")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_block_hook(w, f[D], w.block_function)
    return DONE


@vmx_pi_hooks_assign.step("installs the block and resume hooks, first of all")
def all_block(w: World, a: Actor, f: Frame) -> Any:
    set_block_hook(w, f[D], w.block_function)


@vmx_pi_hooks_assign.step("installs the switch-out hook")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) | PI_CSW_FROM)


@vmx_pi_hooks_assign.step("installs the switch-in hook")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) | PI_CSW_TO)


vmx_pi_hooks_deassign = Procedure("vmx_pi_hooks_deassign", "d", "v")


@vmx_pi_hooks_deassign.step("does nothing unless posting is on and the domain is an HVM one")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if w.memory.u8(w.iommu_intpost) and w.is_hvm(f[D]) else DONE


@vmx_pi_hooks_deassign.step("pauses the domain")
def _(w: World, a: Actor, f: Frame) -> Any:
    if w.version.deassign_cleans_up:
        w.domain_pause(a, f[D])


@vmx_pi_hooks_deassign.step("removes the block and resume hooks")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_block_hook(w, f[D], 0)


@vmx_pi_hooks_deassign.step("removes the switch-out hook; the switch-in hook stays, to clear SN")
def _(w: World, a: Actor, f: Frame) -> Any:
    if not w.version.deassign_cleans_up:
        return drop_from
    set_hooks(w, f[D], PI_CSW_TO)
    f[_V] = w.first_vcpu(f[D])
    return None


@vmx_pi_hooks_deassign.step("restores a descriptor and takes its vCPU off its list")
def clean_up(w: World, a: Actor, f: Frame) -> Any:
    v = f[_V]
    if not v:
        return None
    a.call(vmx_pi_unblock_vcpu, v)
    f[_V] = w.next_vcpu(v)
    return clean_up


@vmx_pi_hooks_deassign.step("unpauses the domain")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.domain_unpause(a, f[D])
    return DONE


@vmx_pi_hooks_deassign.step("removes the switch-out hook")
def drop_from(w: World, a: Actor, f: Frame) -> Any:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) & ~PI_CSW_FROM)


@vmx_pi_hooks_deassign.step("removes the switch-in hook")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) & ~PI_CSW_TO)


# A CPU comes or goes.

vmx_pi_per_cpu_init = Procedure("vmx_pi_per_cpu_init", "cpu")


@vmx_pi_per_cpu_init.step("empties the CPU's blocking list and frees its lock")
def _(w: World, a: Actor, f: Frame) -> Any:
    memory, o = w.memory, w.o
    head, lock = w.blocking_list(f[CPU_NUMBER]), w.blocking_lock(f[CPU_NUMBER])
    own = w.virtual(head)
    memory.set_u64(head + o.list_next, own)
    memory.set_u64(head + o.list_prev, own)
    if o.lock_size > SHARED_LOCK_SIZE:
        memory.set_u64(lock, SPINLOCK_NO_CPU << 32)
    else:
        memory.set_u32(lock, 0)


vmx_pi_desc_fixup = Procedure("vmx_pi_desc_fixup", "cpu", "node", "next", "new_cpu", "irqs")
_FNODE, _FNEXT, _NEW_CPU, _FIRQS = FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4


@vmx_pi_desc_fixup.step("does nothing unless posting is on")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if w.version.moves_blocked and w.memory.u8(w.iommu_intpost) else DONE


@vmx_pi_desc_fixup.step("locks the dead CPU's blocking list")
def _(w: World, a: Actor, f: Frame) -> Any:
    if not lock_taken(w, w.blocking_lock(f[CPU_NUMBER])):
        return WAIT
    f[_FNODE] = w.physical(following(w, w.blocking_list(f[CPU_NUMBER])))
    f[_FNEXT] = following(w, f[_FNODE])
    f[_FIRQS], a.irqs = int(a.irqs), False
    return None


@vmx_pi_desc_fixup.step("suppresses the next vCPU's notifications")
def next_blocked(w: World, a: Actor, f: Frame) -> Any:
    if f[_FNODE] == w.blocking_list(f[CPU_NUMBER]):
        return end_of_fixup
    set_bit(w, f[_FNODE] - w.o.node, "sn", SN)
    return None


@vmx_pi_desc_fixup.step("looks whether a notification is outstanding; if not, it only moves")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if w.memory.u8(f[_FNODE] - w.o.node + w.o.control) & ON_MASK else move


@vmx_pi_desc_fixup.step("takes it off the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    list_del(w, f[_FNODE])
    w.effect = (VCPU, f[_FNODE] - w.o.node, "on a blocking list", 1, 0)


@vmx_pi_desc_fixup.step("makes it forget the lock")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_node_lock(w, f[_FNODE] - w.o.node, 0)


@vmx_pi_desc_fixup.step("unblocks it")
def _(w: World, a: Actor, f: Frame) -> Any:
    a.call(vcpu_unblock, f[_FNODE] - w.o.node)
    return lift


@vmx_pi_desc_fixup.step("chooses an online CPU")
def move(w: World, a: Actor, f: Frame) -> Any:
    f[_NEW_CPU] = w.any_online_cpu()


@vmx_pi_desc_fixup.step("locks that CPU's blocking list")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if lock_taken(w, w.blocking_lock(f[_NEW_CPU])) else WAIT


@vmx_pi_desc_fixup.step("directs its notifications there")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_ndst(w, f[_FNODE] - w.o.node, f[_NEW_CPU])


@vmx_pi_desc_fixup.step("moves it to the front of that list")
def _(w: World, a: Actor, f: Frame) -> Any:
    list_unlink(w, f[_FNODE])
    head = w.blocking_list(f[_NEW_CPU])
    list_add(w, f[_FNODE], head, w.physical(following(w, head)))
    w.effect = (VCPU, f[_FNODE] - w.o.node, "on the blocking list of CPU", f[CPU_NUMBER], f[_NEW_CPU])


@vmx_pi_desc_fixup.step("notes which lock guards its node now")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_node_lock(w, f[_FNODE] - w.o.node, w.virtual(w.blocking_lock(f[_NEW_CPU])))


@vmx_pi_desc_fixup.step("unlocks that list")
def _(w: World, a: Actor, f: Frame) -> Any:
    unlock(w, w.blocking_lock(f[_NEW_CPU]))


@vmx_pi_desc_fixup.step("lets posts notify again")
def lift(w: World, a: Actor, f: Frame) -> Any:
    clear_bit(w, f[_FNODE] - w.o.node, "sn", SN)
    f[_FNODE] = w.physical(f[_FNEXT])
    f[_FNEXT] = following(w, f[_FNODE])
    return next_blocked


@vmx_pi_desc_fixup.step("unlocks the dead CPU's list")
def end_of_fixup(w: World, a: Actor, f: Frame) -> Any:
    unlock(w, w.blocking_lock(f[CPU_NUMBER]))
    a.irqs = bool(f[_FIRQS])


# The remapping entry of a message-signalled interrupt (xen/drivers/passthrough/vtd/intremap.c).

msi_msg_write_remap_rte = Procedure("msi_msg_write_remap_rte", "msi_desc", "msg", "unit", "irqs")
_MSI, _MESSAGE, _UNIT, _MIRQS = range(FIRST, FIRST + 4)

DIRECT_SOURCE = (1, 2, 3, 6)
"""`pci_dev.type` of PCIe endpoints and bridges, PCIe-to-PCI bridges and host bridges: they use their own source-id."""
PHANTOM_SQ = {1: 3, 2: 2, 4: 1}
"""SQ by `pci_dev.phantom_stride`: which function bits phantom functions differ in."""
LOWEST_PRIORITY = 1
EFAULT = 14


def source_of(w: World, pci_dev: int) -> dict[str, int]:
    """SID, SQ and SVT that a device's entries get. Source: `set_msi_source_id`."""
    kind = w.layout.get("pci_dev", pci_dev, "type")
    if kind not in DIRECT_SOURCE:
        raise SimError(
            f"a PCI device of type {kind} is validated by the bridges above it, of which there are none here"
        )
    stride = w.layout.get("pci_dev", pci_dev, "phantom_stride")
    return {"sid": w.source_id(pci_dev), "svt": 1, "sq": PHANTOM_SQ.get(stride, 0)}


def new_entry(w: World, msi_desc: int, message: int) -> int:
    """The entry that `msi_msg_to_remap_entry` builds: posted if the MSI has a descriptor, else from the message."""
    memory, o = w.memory, w.o
    source = source_of(w, w.physical(memory.u64(msi_desc + o.msi_dev)))
    pi_desc = memory.u64(msi_desc + o.msi_pi_desc)
    if pi_desc:
        values = {"p": 1, "im": 1, "vector": memory.u8(msi_desc + o.msi_gvec), "pda": w.physical(pi_desc)}
        return int.from_bytes(POSTED.build(values | source), "little")
    address, data = memory.u32(message + o.msg_address), memory.u32(message + o.msg_data)
    dlm = COMPATIBILITY_DATA["dlm"].extract(data)
    values = {
        "p": 1,
        "dm": COMPATIBILITY_ADDRESS["dm"].extract(address),
        "tm": COMPATIBILITY_DATA["tm"].extract(data),
        "dlm": dlm,
        "rh": int(dlm == LOWEST_PRIORITY),
        "vector": COMPATIBILITY_DATA["vector"].extract(data),
        "dst": memory.u32(message + o.msg_dest32)
        if memory.u8(w.x2apic_enabled)
        else COMPATIBILITY_ADDRESS["dst"].extract(address) << 8,
    }
    return int.from_bytes(REMAPPED.build(values | source), "little")


@msi_msg_write_remap_rte.step("locks the unit's table")
def _(w: World, a: Actor, f: Frame) -> Any:
    f[_UNIT] = w.layout.unit_of(w.source_id(w.physical(w.memory.u64(f[_MSI] + w.o.msi_dev))))
    if not lock_taken(w, w.table_lock(f[_UNIT])):
        return WAIT
    f[_MIRQS], a.irqs = int(a.irqs), False
    a.result = 0
    return None


@msi_msg_write_remap_rte.step("writes the remapping entry, 16 bytes at once")
def _(w: World, a: Actor, f: Frame) -> Any:
    memory, o, message = w.memory, w.o, f[_MESSAGE]
    index = memory.u32(f[_MSI] + o.msi_index)
    if index >> 31:
        raise SimError(f"the MSI at {f[_MSI]:#x} has no entry yet")
    if index >= 1 << 16:
        memory.set_u32(f[_MSI] + o.msi_index, U32)
        a.result = -EFAULT
        return unlock_table
    new = new_entry(w, f[_MSI], message)
    address = REMAPPABLE_ADDRESS.parse(memory.read(message + o.msg_address, 8))
    rewritten = {"prefix": address["prefix"], "shv": 1, "format": 1, "handle": index}
    memory.set_u32(message + o.msg_address, int.from_bytes(REMAPPABLE_ADDRESS.build(rewritten)[:4], "little"))
    memory.set_u32(message + o.msg_address_hi, 0)
    memory.set_u32(message + o.msg_data, 0)
    entry = w.layout.irte(f[_UNIT], index)
    old = int.from_bytes(memory.read(entry, 16), "little")
    memory.cmpxchg_u128(entry, old, new)
    w.effect = (ENTRY, f[_UNIT] << 16 | index, "IRTE", old, new)
    return None


@msi_msg_write_remap_rte.step("notes that the entry is initialised")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.memory.set_u8(f[_MSI] + w.o.msi_initialized, 1)


@msi_msg_write_remap_rte.step("invalidates the unit's cache of it")
def _(w: World, a: Actor, f: Frame) -> Any:
    w.flush_iec(a, f[_UNIT], w.memory.u32(f[_MSI] + w.o.msi_index))


@msi_msg_write_remap_rte.step("unlocks the unit's table")
def unlock_table(w: World, a: Actor, f: Frame) -> Any:
    unlock(w, w.table_lock(f[_UNIT]))
    a.irqs = bool(f[_MIRQS])


vmx_pi_update_irte = Procedure("vmx_pi_update_irte", "msi_desc", "pi_desc", "gvec", "msg")


@vmx_pi_update_irte.step("notes descriptor and guest vector with the MSI")
def _(w: World, a: Actor, f: Frame) -> Any:
    msi_desc, pi_desc, gvec = f[FIRST : FIRST + 3]
    w.memory.set_u64(msi_desc + w.o.msi_pi_desc, w.virtual(pi_desc) if pi_desc else 0)
    w.memory.set_u8(msi_desc + w.o.msi_gvec, gvec)


@vmx_pi_update_irte.step("has the remapping entry written")
def _(w: World, a: Actor, f: Frame) -> Any:
    a.call(msi_msg_write_remap_rte, f[FIRST], f[FIRST + 3])


# One procedure alone.


@dataclass(frozen=True)
class Store:
    """A store to memory: where, how many bytes, the value before and after."""

    address: int
    size: int
    before: int
    after: int


Call = tuple[str, int, int]
"""A call that left the procedures: its name and arguments."""


@dataclass(frozen=True)
class Outcome:
    """What a procedure did: what it returned, and its stores and calls in order."""

    value: int
    events: Sequence[Store | Call]

    @property
    def stores(self) -> list[Store]:
        """The stores alone."""
        return [event for event in self.events if isinstance(event, Store)]

    @property
    def calls(self) -> list[Call]:
        """The calls alone."""
        return [event for event in self.events if not isinstance(event, Store)]


class _Alone(World):
    """A world in which the calls that leave the procedures are only noted."""

    def __init__(self, layout: Layout, version: Version, random: Callable[[], int]) -> None:
        super().__init__(layout, version)
        self.events: list[Store | Call] = []
        self.random = random

    def get_random(self) -> int:
        return self.random()

    def softirq_pending(self, cpu: int) -> int:
        return self.memory.u32(self.layout.irq_stat(cpu))

    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        return self.memory.test_and_set_bit(self.layout.irq_stat(cpu), number)

    def raise_softirq(self, actor: Actor, number: int) -> None:
        self.events.append(("raise_softirq", actor.cpu, number))

    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        self.events.append(("cpu_raise_softirq", cpu, number))

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        self.events.append(("send_IPI_mask", cpu, vector))

    def ack_apic_irq(self, actor: Actor) -> None:
        self.events.append(("ack_APIC_irq", actor.cpu, 0))

    def count_irq(self, actor: Actor) -> None:
        place = self.layout.percpu(actor.cpu, "irq_count")
        self.memory.set_u32(place, self.memory.u32(place) + 1 & 0xFFFF_FFFF)

    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        self.events.append(("vcpu_wake", vcpu, 0))

    def domain_pause(self, actor: Actor, domain: int) -> None:
        self.events.append(("domain_pause", domain, 0))

    def domain_unpause(self, actor: Actor, domain: int) -> None:
        self.events.append(("domain_unpause", domain, 0))

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        self.events.append(("iommu_flush_iec_index", unit, index))


def run_procedure(
    name: str,
    layout: Layout,
    *arguments: int,
    cpu: int = 0,
    in_irq: bool | None = None,
    version: Version = CURRENT,
    random: Callable[[], int] = lambda: 0,
    limit: int = 100_000,
) -> Outcome:
    """Run one procedure alone on a CPU, from its entry to its end, on the layout's memory.

    `current` is the vCPU that the CPU's `struct cpu_info` names. Arguments are physical addresses and numbers. What it
    calls outside of this module is noted and not done: vcpu_wake (vCPU), raise_softirq (CPU, number), cpu_raise_softirq
    (CPU, number), send_IPI_mask (CPU, vector), ack_APIC_irq (CPU), domain_pause and domain_unpause (domain),
    iommu_flush_iec_index (unit, index).

    Args:
        in_irq: whether in an interrupt handler; by default as the CPU's `__local_irq_count` tells.
        random: what `get_random` returns, call by call.
        limit: how many steps it may take.

    Raises:
        SimError: it waits for a lock that is held, does not end within the limit, or follows a wild pointer.
    """
    if name not in PROCEDURES:
        raise SimError(f"no procedure {name!r}")
    world = _Alone(layout, version, random)
    actor = Actor(f"CPU {cpu}", cpu)
    actor.current = layout.physical(layout.memory.u64(layout.cpu_info(cpu) + world.o.current_vcpu))
    actor.in_irq = layout.memory.u32(layout.irq_stat(cpu) + LOCAL_IRQ_COUNT) if in_irq is None else int(in_irq)
    actor.irqs = not actor.in_irq
    actor.call(PROCEDURES[name], *arguments)
    observer, layout.memory.observer = layout.memory.observer, lambda *store: world.events.append(Store(*store))
    try:
        for _ in range(limit):
            if not actor.stack:
                return Outcome(actor.result, world.events)
            if not actor.advance(world):
                raise SimError(f"{name} waits for a lock that nobody will release")
    finally:
        layout.memory.observer = observer
    raise SimError(f"{name} did not end within {limit} steps")
