"""Locks, lists and the control word, as Linux stores them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim_backend.logic.kvm.stores import (
    LIST_POISON1,
    LIST_POISON2,
    following,
    list_add_tail,
    list_del,
    nv_of,
    spin_lock_taken,
    spin_unlock,
    with_nv,
)
from tests.sim_backend.logic.kvm.conftest import made


def test_a_lock_is_taken_once(machine):
    w, lock = machine.context, machine.context.addresses.locks[1]
    assert spin_lock_taken(w, lock)
    assert not spin_lock_taken(w, lock)
    spin_unlock(w, lock)
    assert machine.memory.u32(lock) == 0


def test_nodes_are_appended_and_poisoned():
    machine = made(vcpus=3, cpus=1)
    w, head = machine.context, machine.context.addresses.lists[0]
    nodes = [v + machine.o.node for v in machine.names]
    for node in nodes:
        list_add_tail(w, node, head)
    assert machine.layout.list_nodes(head) == nodes
    list_del(w, nodes[1])
    assert machine.layout.list_nodes(head) == [nodes[0], nodes[2]]
    assert following(w, nodes[0]) == nodes[2]
    assert [machine.memory.u64(nodes[1] + at) for at in (0, 8)] == [LIST_POISON1, LIST_POISON2]


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 255))
def test_only_nv_becomes_another_one(control, vector):
    changed = with_nv(control, vector)
    assert nv_of(changed) == vector
    assert with_nv(changed, nv_of(control)) == control
