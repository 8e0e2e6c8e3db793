"""What invariants look at: each is silent on a sound machine, and tells what was made wrong."""

from __future__ import annotations

import pytest

from sim_backend.machine.checks import (
    interrupt_under_way,
    listed,
    under_way,
    unsound_descriptors,
    unsound_queues,
)
from sim_backend.machine.invariants import nodes
from sim_backend.machine.kvm import KvmMachine
from sim_backend.machine.kvm_invariants import nodes as kvm_nodes
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load

KINDS = [(Machine, nodes, 0xF3), (KvmMachine, kvm_nodes, 0xF1)]


@pytest.fixture(params=KINDS, ids=["Xen", "KVM"])
def blocked(request):
    kind, of_cpu, wakeup = request.param
    machine = kind(load("idle"))
    machine.settle()
    machine.block("d1v0")
    machine.settle()
    return machine, of_cpu, wakeup, machine.vcpu("d1v0")


def test_descriptors(blocked):
    machine, _, wakeup, v = blocked
    assert [*unsound_descriptors(machine, (0xF2, wakeup))] == []
    assert [*unsound_descriptors(machine, (0xF2,))] == [f"{machine.vcpu_name(v)}: NV is {wakeup:#x}"]
    descriptor = v + machine.o.pi_desc
    machine.memory.write(descriptor + 63, b"\x80")
    assert [*unsound_descriptors(machine, (0xF2, wakeup))] == [f"{machine.vcpu_name(v)}: reserved bits {1 << 511:#x}"]


def test_a_list_and_what_is_none(blocked):
    machine, of_cpu, _, v = blocked
    (cpu,) = (cpu for cpu in range(len(machine.cpus)) if v in of_cpu(machine, cpu))
    assert [*of_cpu(machine, cpu)] == [v]
    node = v + machine.o.node
    head = machine.context.physical(machine.memory.u64(node + machine.o.list_next))
    machine.memory.set_u64(node + machine.o.list_prev, machine.context.virtual(node))
    with pytest.raises(SimError, match=f"CPU {cpu}'s list: prev of {node:#x} is not {head:#x}"):
        [*listed(machine, head, f"CPU {cpu}'s list")]


def test_an_interrupt_is_under_way_until_it_is_handled(blocked):
    machine, of_cpu, wakeup, v = blocked
    (cpu,) = (cpu for cpu in range(len(machine.cpus)) if v in of_cpu(machine, cpu))
    handlers = {Machine: "pi_wakeup_interrupt", KvmMachine: "pi_wakeup_handler"}
    handler = procedure(handlers[type(machine)])
    assert not interrupt_under_way(machine, cpu, wakeup, handler)
    machine.post("00:03.0")
    seen = []
    while machine.step():
        seen.append(interrupt_under_way(machine, cpu, wakeup, handler))
    assert True in seen
    assert not seen[-1]


def procedure(name):
    from sim_backend.logic.program import BY_NUMBER

    return next(each for each in BY_NUMBER if each.name == name)


def test_who_is_under_way_for_a_vcpu(blocked):
    machine, _, _, v = blocked
    wakers = {procedure("vcpu_unblock" if type(machine) is Machine else "kvm_vcpu_wake_up").number}
    assert not under_way(machine, wakers, v)
    machine.post("00:03.0")
    assert any(under_way(machine, wakers, v) for _ in iter(machine.step, None))


def test_queues(blocked):
    machine, _, _, v = blocked
    assert [*unsound_queues(machine, "vCPU")] == []
    for queue in machine.state.runq:
        queue.append(v)
    machine.state.scheduled[0] = v
    assert [*unsound_queues(machine, "vCPU")] == ["a vCPU waits in two queues", "a vCPU waits and runs"]
