"""The lists of blocked vCPUs, whole and broken."""

from __future__ import annotations

import copy

import pytest

from inspector.targets.sim.simulation import Simulation
from inspector.xen.blocking import lists
from inspector.xen.domains import domains
from inspector.xen.find import find
from inspector.xen.percpu import cpus
from sim_backend.layout.layout import DomainConfig, Layout, LayoutConfig
from sim_backend.machine.registers import Still
from structs.xen.layout import of_profile
from structs.xen.named import bundled, matching
from structs.xen.profile import Profile

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


@pytest.mark.parametrize("version", ["4.17", "4.20"])
def test_a_lock_of_16_bytes(version):
    """As CONFIG_DEBUG_LOCK_PROFILE makes it: after the tickets, a pointer to what the lock cost."""
    document = copy.deepcopy(dict(matching(version, bundled())[0].document))
    types = document["user_types"]
    lock = types["vmx_pi_blocking_vcpu"]["fields"]["lock"]["type"]["name"]
    types["lock_profile"] = {"kind": "struct", "size": 64, "fields": {}}
    pointer = {"kind": "pointer", "subtype": {"kind": "struct", "name": "lock_profile"}}
    types[lock]["fields"]["profile"] = {"offset": 8, "type": pointer}
    types[lock]["size"], types["vmx_pi_blocking_vcpu"]["size"] = 16, 32
    profile = Profile(document)
    assert of_profile(profile)["vmx_pi_blocking_vcpu"].members["lock"].size == 4

    layout = Layout(LayoutConfig(cpus=3, domains=(DomainConfig(0, 1, hvm=False), DomainConfig(1, 2))), profile)
    for cpu, tickets in enumerate((0, 0x0005_0005, 0x0006_0005)):
        value = 0xFFFF_82D0_4050_1000 << 64 | tickets
        layout.put("vmx_pi_blocking_vcpu", layout.percpu(cpu, "vmx_pi_blocking"), {"lock": value})
    xen = find(Simulation(Still(layout)), [profile])
    assert xen
    assert {cpu: each.locked for cpu, each in found(xen).items()} == {0: False, 1: False, 2: True}
