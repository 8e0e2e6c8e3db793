"""Ticket locks and lists, as Xen has them."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.logic.pi.run_procedure import alone
from sim_backend.logic.pi.stores import LIST_POISON1, LIST_POISON2, list_add, list_del, lock_taken, unlock
from sim_backend.logic.versions import CURRENT

LOCK, NODES = 0x10_0000, (0x10_0100, 0x10_0200)


@pytest.fixture
def w():
    made, _ = alone(Layout(LayoutConfig()), CURRENT, lambda: 0)
    return made


def test_a_ticket_lock(w):
    assert lock_taken(w, LOCK)
    assert w.memory.u32(LOCK) == 0x10000
    assert not lock_taken(w, LOCK), "it is held"
    unlock(w, LOCK)
    assert w.memory.u32(LOCK) == 0x10001


def test_tickets_come_round(w):
    w.memory.set_u32(LOCK, 0xFFFF_FFFF)
    assert lock_taken(w, LOCK)
    unlock(w, LOCK)
    head, tail = w.memory.u16(LOCK), w.memory.u16(LOCK + 2)
    assert head == tail == 0


def test_a_list(w):
    head = w.blocking_list(0)
    for node in NODES:
        list_add(w, node, w.physical(w.memory.u64(head + w.o.list_prev)), head)
    assert w.layout.list_nodes(head) == list(NODES)
    list_del(w, NODES[0])
    assert w.layout.list_nodes(head) == [NODES[1]]
    assert (w.memory.u64(NODES[0]), w.memory.u64(NODES[0] + 8)) == (LIST_POISON1, LIST_POISON2)
