"""What each CPU does, by Xen's memory and its registers."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from inspector.model.snapshot import IDLE, IN_GUEST
from inspector.targets.open_file import open_file
from inspector.targets.sim.simulation import Simulation
from inspector.xen.domains import domains
from inspector.xen.find import find
from inspector.xen.percpu import cpus, interruptible, lists, online
from sim_backend.layout.layout import DomainConfig, Layout, LayoutConfig
from sim_backend.machine.registers import Still
from structs.xen.layout import of_profile
from structs.xen.named import bundled, matching
from structs.xen.profile import Profile


def found(xen, absent=None):
    _, vcpus, _ = domains(xen)
    return cpus(xen, vcpus, [] if absent is None else absent)


def test_each_cpu_with_its_apic(layout, look):
    assert [(cpu.cpu, cpu.apic_id, cpu.online) for cpu in found(look())] == [
        (number, apic, True) for number, apic in enumerate(layout.config.apics)
    ]


def test_the_vcpu_whose_state_a_cpu_holds(layout, look):
    layout.memory.set_u64(layout.percpu(1, "curr_vcpu"), layout.virtual(layout.vcpu(1, 2)))
    assert [cpu.loaded for cpu in found(look())][1] == "d1v2"


def test_an_online_cpu_without_an_area_is_told(layout, look):
    layout.memory.set_u64(layout.symbol("__per_cpu_offset") + 8, 0x8000_0000_0000_0000)
    absent = []
    assert [cpu.offset is None for cpu in found(look(), absent)] == [False, True]
    assert [(absence.subject, absence.member) for absence in absent] == [("CPU 1", "offset")]


@pytest.mark.parametrize(("rflags", "answer"), [(0, None), (2, False), (0x202, True)])
def test_rflags_that_were_never_saved_tell_nothing(rflags, answer):
    assert interruptible(rflags) is answer


@pytest.mark.parametrize(("cs", "mode"), [(0xE008, IDLE), (0x10, IN_GUEST)])
def test_without_its_page_tables_xens_code_segment_tells(golden, monkeypatch, cs, mode):
    """A dump that leaves the domains' memory out has a domain's page table in CR3, and not that table."""

    def elsewhere(cpu):
        return replace(cpu, registers={**cpu.registers, "cr3": 1 << 40, "cs": cs})

    with open_file(golden("xapic-4-cpus")) as target:
        xen, changed = find(target), tuple(map(elsewhere, target.cpus()))
        monkeypatch.setattr(target, "cpus", lambda: changed)
        _, vcpus, _ = domains(xen)
        assert cpus(xen, vcpus, [])[0].mode == mode


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


def blocking_lists(xen):
    _, vcpus, _ = domains(xen)
    return {each.cpu: each for each in lists(xen, cpus(xen, vcpus, []), vcpus)}


def test_the_nodes_in_list_order(block, look):
    for vcpu in (2, 0):
        block(vcpu, 1)
    of_cpu = blocking_lists(look())
    assert [node.vcpu for node in of_cpu[1].nodes] == ["d1v2", "d1v0"]
    assert of_cpu[0].nodes == ()
    assert {each.broken for each in of_cpu.values()} == {None}


def test_a_list_that_loops_ends_where_it_does(layout, block, look):
    block(0, 1)
    node = block(1, 1)
    layout.memory.set_u64(node + layout.member("list_head", "next"), layout.virtual(node))
    broken = blocking_lists(look())[1]
    assert "loops" in broken.broken
    assert [at.vcpu for at in broken.nodes] == ["d1v0", "d1v1"]


def test_a_node_that_is_nowhere_breaks_the_list(layout, block, look):
    node = block(0, 0)
    layout.memory.set_u64(node + layout.member("list_head", "next"), 1 << 46)
    assert "cannot be read" in blocking_lists(look())[0].broken


def test_a_held_lock_is_told(layout, look):
    lock = layout.percpu(0, "vmx_pi_blocking") + layout.member("vmx_pi_blocking_vcpu", "lock")
    layout.memory.write(lock, (1 << 16).to_bytes(4, "little"))
    assert blocking_lists(look())[0].locked
    assert not blocking_lists(look())[1].locked


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
    assert {cpu: each.locked for cpu, each in blocking_lists(xen).items()} == {0: False, 1: False, 2: True}


def test_the_online_ones_by_apic_id(layout, look):
    assert online(look()) == dict(enumerate(layout.config.apics))
    layout.memory.write(layout.symbol("cpu_online_map"), (1).to_bytes(8, "little"))
    assert online(look()) == {0: layout.config.apics[0]}
