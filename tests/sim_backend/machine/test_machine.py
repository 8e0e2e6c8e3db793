"""Runs: deterministic, copied, hashed; what holds in them by version; known hazards, in the model."""

from __future__ import annotations

import os

import pytest

from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.logic.workload import Workload
from sim_backend.machine.invariants import applicable, nodes, problems
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import BUNDLED, Scenario, load

STEPS = int(os.environ.get("VTDPI_STEPS", "12000"))
"""Of each scenario in each version: VTDPI_STEPS=1000000 for the long run."""
EVERY = 97
MAY_CRASH = {("hotplug", "seed")}
"""The first version leaves vCPUs on lists when their device leaves; in the end Xen follows a poisoned pointer."""


@pytest.mark.parametrize("version", ["seed", "current"])
@pytest.mark.parametrize("name", BUNDLED)
def test_invariants_hold_in_every_scenario(name, version):
    machine = Machine(load(name), version, seed=11)
    chosen = applicable(machine.version, machine.context.workload)
    done = 0
    while done < STEPS:
        ran = machine.run(EVERY)
        done += ran
        assert problems(machine, chosen) == [] or machine.crashed
        if ran < EVERY:
            break
    assert machine.crashed is None or (name, version) in MAY_CRASH
    assert done >= STEPS or name == "idle" or machine.crashed


@pytest.mark.parametrize(
    ("drive", "message"),
    [
        (lambda m: m.block("d1v7"), "there is no vCPU d1v7; there are d1v0, d1v1"),
        (lambda m: m.block("nonsense"), "there is no vCPU nonsense"),
        (lambda m: m.post("00:09.0"), "there is no device 00:09.0; there are: 00:03.0"),
        (lambda m: m.post("00:03.0", 5), "has vectors 0 to 1, not 5"),
        (lambda m: m.deliver("d1v0", 3), "vector 0x3"),
        (lambda m: m.migrate("d1v0", 9), "CPU 9 is not there"),
        (lambda m: m.offline(0), "CPU 0 cannot go offline"),
        (lambda m: m.bring_online(1), "CPU 1 is not offline"),
        (lambda m: m.assign("00:03.0", 1), "is assigned to domain 1 already"),
        (lambda m: m.assign("00:03.0", 7), "there is no domain 7"),
        (lambda m: m.destroy_domain(7), "there is no domain 7"),
        (lambda m: Machine(version="4.99"), "no version '4.99'"),
    ],
)
def test_orders_that_make_no_sense(drive, message):
    machine = Machine(load("idle"))
    machine.settle()
    before = machine.digest()
    with pytest.raises(SimError, match=message):
        drive(machine)
    assert machine.digest() == before


def blocked_on(machine, cpu):
    return [machine.vcpu_name(v) for v in nodes(machine, cpu)]


def descriptor(machine, name):
    v = machine.vcpu(name)
    control = machine.memory.u64(v + machine.o.control)
    return {"on": control & 1, "sn": control >> 1 & 1, "nv": control >> 16 & 0xFF, "ndst": control >> 32}


def block(machine, *names):
    for name in names:
        machine.block(name)
    machine.settle()


class TestDevices:
    def test_the_last_device_leaves_a_blocked_vcpu(self):
        """The current version takes it off its list and restores NV; the first one forgets it there."""
        found = {}
        for version in ("seed", "current"):
            machine = Machine(load("idle"), version)
            machine.settle()
            block(machine, "d1v0")
            machine.deassign("00:03.0")
            machine.settle()
            found[version] = (blocked_on(machine, 0), descriptor(machine, "d1v0")["nv"])
        assert found == {"seed": (["d1v0"], 0xF3), "current": ([], 0xF2)}

    def test_a_device_that_comes_back_posts_again(self):
        machine = Machine(load("idle"))
        machine.settle()
        machine.deassign("00:03.0")
        machine.settle()
        machine.assign("00:03.0", 1)
        machine.settle()
        block(machine, "d1v0")
        machine.post("00:03.0", 0)
        machine.settle()
        assert machine.where(0) == "guest"
        assert blocked_on(machine, 0) == []

    def test_a_switch_that_was_preempted_when_the_last_device_left(self):
        """4.7: SN stays set for ever, for nobody calls vmx_pi_switch_to() any more. Fixed by 7c00de1756 (4.9)."""
        found = {}
        for version in ("seed", "current"):
            layout = LayoutConfig(cpus=1, domains=(DomainConfig(1, 2),), devices=(DeviceConfig(0x18, 1, 1),))
            machine = Machine(layout, version)
            machine.settle()
            name = preempted(machine)
            assert descriptor(machine, name)["sn"] == 1
            machine.deassign("00:03.0")
            machine.settle()
            if machine.vcpu(name) not in machine.state.scheduled:
                preempted(machine)
            assert machine.vcpu(name) in machine.state.scheduled
            found[version] = descriptor(machine, name)["sn"]
        assert found == {"seed": 1, "current": 0}

    def test_in_the_model_a_device_assigned_while_a_vcpu_is_blocked_cannot_wake_it(self):
        """Both versions: the hooks come too late for it; the post sends the notification vector, which wakes nobody."""
        for version in ("seed", "current"):
            machine = Machine(load("idle"), version)
            machine.settle()
            machine.deassign("00:03.0")
            machine.settle()
            block(machine, "d1v0")
            machine.assign("00:03.0", 1)
            machine.settle()
            machine.post("00:03.0", 0)
            machine.settle()
            assert descriptor(machine, "d1v0")["on"] == 1
            assert machine.vcpu("d1v0") not in machine.state.scheduled

    def test_without_posting_interrupts_are_delivered_by_software(self):
        layout = LayoutConfig(cpus=2, intpost=False, domains=(DomainConfig(1, 2),), devices=(DeviceConfig(0x18, 2, 1),))
        machine = Machine(Scenario(layout=layout))
        machine.settle()
        block(machine, "d1v1")
        machine.post("00:03.0", 1)
        lines = [str(event) for event in machine.events_of(1000)]
        assert any("dpci_softirq" in line for line in lines)
        assert machine.vcpu("d1v1") in machine.state.scheduled


class TestCpusThatGo:
    def test_who_is_blocked_there_is_moved(self):
        machine = Machine(load("idle"))
        machine.settle()
        block(machine, "d1v1")
        assert blocked_on(machine, 1) == ["d1v1"]
        machine.offline(1)
        machine.settle()
        assert blocked_on(machine, 0) == ["d1v1"]
        assert descriptor(machine, "d1v1") == {"on": 0, "sn": 0, "nv": 0xF3, "ndst": 0}
        machine.post("00:03.0", 1)
        machine.settle()
        assert blocked_on(machine, 0) == []

    def test_the_first_version_leaves_it_behind(self):
        """Fixed by 92fc8d10f5 (4.9)."""
        machine = Machine(load("idle"), "seed")
        machine.settle()
        block(machine, "d1v1")
        machine.offline(1)
        machine.settle()
        machine.post("00:03.0", 1)
        machine.settle()
        after = descriptor(machine, "d1v1")
        assert (after["on"], after["ndst"]) == (1, 0x100), "a message to a CPU that is not there"
        assert machine.state.lost == 1

    def test_it_comes_back_empty(self):
        machine = Machine(load("idle"))
        machine.settle()
        machine.offline(1)
        machine.settle()
        machine.bring_online(1)
        machine.settle()
        machine.migrate("d1v1", 1)
        machine.settle()
        assert machine.where(1) == "guest"
        assert blocked_on(machine, 1) == []
        assert descriptor(machine, "d1v1")["ndst"] == 0x100


class TestDomains:
    def test_one_comes_and_goes(self):
        machine = Machine(load("idle"))
        machine.settle()
        machine.create_domain(2, 2)
        machine.settle()
        assert machine.vcpu("d2v1")
        block(machine, "d1v0")
        machine.destroy_domain(1)
        machine.settle()
        with pytest.raises(SimError, match="there is no vCPU d1v0"):
            machine.vcpu("d1v0")
        assert machine.context.passthrough.owner(0x18) is None
        assert blocked_on(machine, 0) == blocked_on(machine, 1) == []
        machine.assign("00:03.0", 2)
        machine.settle()
        block(machine, "d2v0", "d2v1")
        machine.post("00:03.0", 1)
        machine.settle()
        assert machine.crashed is None

    def test_the_first_version_crashes_over_the_nodes_of_a_domain_that_ended(self):
        machine = Machine(load("idle"), "seed")
        machine.settle()
        block(machine, "d1v0")
        machine.destroy_domain(1)
        machine.settle()
        head = machine.context.blocking_list(0)
        node = machine.context.physical(machine.memory.u64(head + machine.o.list_next))
        assert node != head
        assert node - machine.o.node not in machine.names, "a node in freed memory"


def preempted(machine):
    running = next(name for name in ("d1v0", "d1v1") if machine.vcpu(name) in machine.state.scheduled)
    machine.preempt(running)
    machine.settle()
    return running


def test_in_the_model_a_post_to_a_preempted_vcpu_can_be_lost():
    """Nobody looks at PIR when SN is cleared, and vmx_sync_pir_to_irr() looks at ON only. Both versions."""
    for version in ("seed", "current"):
        layout = LayoutConfig(cpus=1, domains=(DomainConfig(1, 2),), devices=(DeviceConfig(0x18, 2, 1),))
        machine = Machine(layout, version)
        machine.settle()
        name = preempted(machine)
        machine.post("00:03.0", int(name[-1]))
        machine.settle()
        preempted(machine)
        v = machine.vcpu(name)
        assert v in machine.state.scheduled
        assert descriptor(machine, name) == {"on": 0, "sn": 0, "nv": 0xF2, "ndst": 0}
        assert int.from_bytes(machine.memory.read(v + machine.o.pir, 32), "little") != 0
        block(machine, name)
        assert machine.memory.u32(v + machine.o.pause_flags) & 1, "blocked, with a vector that nobody will deliver"


def test_a_workload_can_be_anything():
    machine = Machine(Scenario(layout=LayoutConfig(), workload=Workload(halt=1024, timer=1)), seed=1)
    assert machine.run(2000) == 2000
