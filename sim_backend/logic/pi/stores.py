"""What the procedures store: ticket locks, list nodes, and the descriptor's fields."""

from __future__ import annotations

from sim_backend.logic.context import VCPU, LogicContext

LIST_POISON1, LIST_POISON2 = 0x0100_1001_0010_0100, 0x0200_2002_0020_0200


def lock_taken(w: LogicContext, lock: int) -> bool:
    """Take a free ticket lock; False if it is held. Source: `spin_lock_common`."""
    word = w.memory.u32(lock)
    if word >> 16 != word & 0xFFFF:
        return False
    w.memory.add_u32(lock, 0x10000)
    return True


def unlock(w: LogicContext, lock: int) -> None:
    """Release a ticket lock. Source: `spin_unlock_common`."""
    w.memory.set_u16(lock, w.memory.u16(lock) + 1 & 0xFFFF)


def list_add(w: LogicContext, node: int, before: int, after: int) -> None:
    """Put a node between two others. Source: `__list_add`."""
    memory, o, own = w.memory, w.o, w.virtual(node)
    memory.set_u64(after + o.list_prev, own)
    memory.set_u64(node + o.list_next, w.virtual(after))
    memory.set_u64(node + o.list_prev, w.virtual(before))
    memory.set_u64(before + o.list_next, own)


def list_unlink(w: LogicContext, node: int) -> None:
    """Join a node's neighbours. Source: `__list_del`."""
    memory, o = w.memory, w.o
    before, after = memory.u64(node + o.list_prev), memory.u64(node + o.list_next)
    memory.set_u64(w.physical(after) + o.list_prev, before)
    memory.set_u64(w.physical(before) + o.list_next, after)


def list_del(w: LogicContext, node: int) -> None:
    """Take a node off its list and poison it."""
    list_unlink(w, node)
    poison(w, node)


def poison(w: LogicContext, node: int) -> None:
    """Poison a node that is on no list. Source: `list_del`."""
    w.memory.set_u64(node + w.o.list_next, LIST_POISON1)
    w.memory.set_u64(node + w.o.list_prev, LIST_POISON2)


def following(w: LogicContext, node: int) -> int:
    """The node after this one, as its virtual address."""
    return w.memory.u64(node + w.o.list_next)


def set_bit(w: LogicContext, v: int, name: str, bit: int) -> None:
    """A locked set of a bit of the descriptor's control word."""
    w.effect = (VCPU, v, name, int(w.memory.test_and_set_bit(v + w.o.control, bit)), 1)


def clear_bit(w: LogicContext, v: int, name: str, bit: int) -> bool:
    """A locked clear of a bit of the descriptor's control word; whether it was set."""
    was = w.memory.test_and_clear_bit(v + w.o.control, bit)
    w.effect = (VCPU, v, name, int(was), 0)
    return was


def set_nv(w: LogicContext, v: int, vector: int) -> None:
    """A plain byte store of NV."""
    w.effect = (VCPU, v, "nv", w.memory.u8(v + w.o.nv), vector)
    w.memory.set_u8(v + w.o.nv, vector)


def set_ndst(w: LogicContext, v: int, cpu: int) -> None:
    """A plain 32-bit store of NDST, to name a CPU."""
    new = w.destination(cpu)
    w.effect = (VCPU, v, "ndst", w.memory.u32(v + w.o.ndst), new)
    w.memory.set_u32(v + w.o.ndst, new)


def set_node_lock(w: LogicContext, v: int, lock: int) -> None:
    """Store `pi_blocking.lock`; `lock` is a virtual address or 0."""
    w.effect = (VCPU, v, "pi_blocking.lock", w.memory.u64(v + w.o.node_lock), lock)
    w.memory.set_u64(v + w.o.node_lock, lock)
