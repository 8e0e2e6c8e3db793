"""The lists of blocked vCPUs, whole and broken."""

from __future__ import annotations

import pytest

from inspector.xen.blocking import lists
from inspector.xen.domains import domains
from inspector.xen.percpu import cpus

LINK = "arch.hvm.vmx.pi_blocking.list"


@pytest.fixture
def block(layout):
    """Put a vCPU at the end of a CPU's list."""

    def put(vcpu, cpu):
        head = layout.percpu(cpu, "vmx_pi_blocking") + layout.member("vmx_pi_blocking_vcpu", "list")
        node = layout.vcpu(1, vcpu) + layout.member("vcpu", LINK)
        layout.list_add_tail(head, node)
        return node

    return put


def found(xen):
    _, vcpus, _ = domains(xen)
    return {each.cpu: each for each in lists(xen, cpus(xen, vcpus, []), vcpus)}


def test_the_nodes_in_list_order(block, look):
    for vcpu in (2, 0):
        block(vcpu, 1)
    of_cpu = found(look())
    assert [node.vcpu for node in of_cpu[1].nodes] == ["d1v2", "d1v0"]
    assert of_cpu[0].nodes == ()
    assert {each.broken for each in of_cpu.values()} == {None}


def test_a_list_that_loops_ends_where_it_does(layout, block, look):
    block(0, 1)
    node = block(1, 1)
    layout.memory.set_u64(node + layout.member("list_head", "next"), layout.virtual(node))
    broken = found(look())[1]
    assert "loops" in broken.broken
    assert [at.vcpu for at in broken.nodes] == ["d1v0", "d1v1"]


def test_a_node_that_is_nowhere_breaks_the_list(layout, block, look):
    node = block(0, 0)
    layout.memory.set_u64(node + layout.member("list_head", "next"), 1 << 46)
    assert "cannot be read" in found(look())[0].broken


def test_a_held_lock_is_told(layout, look):
    lock = layout.percpu(0, "vmx_pi_blocking") + layout.member("vmx_pi_blocking_vcpu", "lock")
    layout.memory.write(lock, (1 << 16).to_bytes(4, "little"))
    assert found(look())[0].locked
    assert not found(look())[1].locked
