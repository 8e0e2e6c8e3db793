"""What KVM's procedures store: spin locks, list nodes, the descriptor's control word."""

from __future__ import annotations

from sim_backend.logic.context import VCPU
from sim_backend.logic.kvm.context import CONTROL_NV, KvmContext

LIST_POISON1, LIST_POISON2 = 0xDEAD_0000_0000_0100, 0xDEAD_0000_0000_0122


def spin_lock_taken(w: KvmContext, lock: int) -> bool:
    """Take a free spin lock; False if it is held. Source: `queued_spin_lock`.

    Who waits is not told: that is in its queue.
    """
    if w.memory.u32(lock):
        return False
    w.memory.test_and_set_bit(lock, 0)
    return True


def spin_unlock(w: KvmContext, lock: int) -> None:
    """Release a spin lock: a plain store of its byte. Source: `queued_spin_unlock`."""
    w.memory.set_u8(lock, 0)


def list_add_tail(w: KvmContext, node: int, head: int) -> None:
    """Put a node before a list's head."""
    memory, o = w.memory, w.o
    last = memory.u64(head + o.list_prev)
    memory.set_u64(head + o.list_prev, w.virtual(node))
    memory.set_u64(node + o.list_next, w.virtual(head))
    memory.set_u64(node + o.list_prev, last)
    memory.set_u64(w.physical(last) + o.list_next, w.virtual(node))


def list_del(w: KvmContext, node: int) -> None:
    """Take a node off its list and poison it."""
    memory, o = w.memory, w.o
    following, before = memory.u64(node + o.list_next), memory.u64(node + o.list_prev)
    memory.set_u64(w.physical(following) + o.list_prev, before)
    memory.set_u64(w.physical(before) + o.list_next, following)
    memory.set_u64(node + o.list_next, LIST_POISON1)
    memory.set_u64(node + o.list_prev, LIST_POISON2)


def following(w: KvmContext, node: int) -> int:
    """The node after this one."""
    return w.physical(w.memory.u64(node + w.o.list_next))


def nv_of(control: int) -> int:
    """NV, of the control word."""
    return control >> CONTROL_NV & 0xFF


def with_nv(control: int, vector: int) -> int:
    """The control word with another NV."""
    return control & ~(0xFF << CONTROL_NV) | vector << CONTROL_NV


def set_bit(w: KvmContext, v: int, name: str, bit: int) -> bool:
    """A locked set of a bit of the descriptor's control word; whether it was set."""
    was = w.memory.test_and_set_bit(v + w.o.control, bit)
    w.effect = (VCPU, v, name, int(was), 1)
    return was


def clear_bit(w: KvmContext, v: int, name: str, bit: int) -> bool:
    """A locked clear of a bit of the descriptor's control word; whether it was set."""
    was = w.memory.test_and_clear_bit(v + w.o.control, bit)
    w.effect = (VCPU, v, name, int(was), 0)
    return was
