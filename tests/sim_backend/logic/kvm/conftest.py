"""Machines with KVM, at rest, and how to move them."""

from __future__ import annotations

import pytest

from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.logic.kvm.versions import KVM
from sim_backend.logic.program import procedure_of
from sim_backend.machine.kvm import KvmMachine

SID = 0x0018
DEVICE = "00:03.0"


def made(vcpus=2, cpus=2, vectors=2, version=KVM, **more):
    """A machine of one VM with one device, at rest."""
    config = LayoutConfig(
        cpus=cpus, domains=(DomainConfig(1, vcpus),), devices=(DeviceConfig(SID, vectors, 1),), **more
    )
    machine = KvmMachine(config, version)
    machine.settle()
    return machine


@pytest.fixture
def machine():
    return made()


def doing(actor):
    """The function that an actor is in, and at which of its steps."""
    if not actor.stack:
        return ("", -1)
    return procedure_of(actor.stack[-1]).name, actor.stack[-1][1]


def run_to(machine, actor, procedure, step=None):
    """Let one actor go on until it is about to do a step of a procedure, by default the first."""
    pc = 0 if step is None else step.pc
    for _ in range(1000):
        if doing(actor) == (procedure.name, pc):
            return
        assert actor.turn(machine.context), f"{actor.name} waits in {doing(actor)}"
    raise AssertionError(f"{actor.name} does not come to {procedure.name}")


def blocked(machine, name="vm1v0"):
    """Have a vCPU halt, and the machine come to rest."""
    machine.block(name)
    machine.settle()
    return machine.vcpu(name)


def field(machine, v, name):
    """A field of a vCPU's descriptor."""
    from structs.pi_desc import PI_DESC

    return PI_DESC[name].extract(int.from_bytes(machine.memory.read(v + machine.o.pi_desc, PI_DESC.size), "little"))
