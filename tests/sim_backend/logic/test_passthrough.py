"""Devices that guests have."""

from __future__ import annotations

import pytest

from sim_backend.logic.passthrough import FIXED, NMI
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load
from structs.xen.pirq import SEVERAL

SID = 0x18


@pytest.fixture
def machine():
    return Machine(load("idle"))


def test_a_device_goes_and_comes_back(machine):
    passthrough = machine.context.passthrough
    assert (passthrough.owner(SID), passthrough.devices_of(1)) == (1, [SID])
    passthrough.give(SID, None)
    assert (passthrough.owner(SID), passthrough.devices_of(1)) == (None, [])
    passthrough.give(SID, 1)
    assert machine.layout.get("pci_dev", machine.layout.device(SID).address, "domain") == machine.context.virtual(
        machine.layout.domain(1)
    )


def test_an_msi_for_all_vcpus_and_for_one(machine):
    passthrough = machine.context.passthrough
    msi = machine.layout.device(SID).msis[0]
    key = passthrough.msi_key(msi)
    ((_, vector),) = passthrough.binding_of(key)
    assert passthrough.rebind(msi, 1, SEVERAL, False) == vector
    assert passthrough.binding_of(key) == tuple((v, vector) for v in machine.layout.domains[1].vcpus)
    passthrough.rebind(msi, 1, 1, True)
    ((v, nmi),) = passthrough.binding_of(key)
    assert (machine.vcpu_name(v), nmi) == ("d1v1", vector | NMI)
    assert nmi > FIXED, "it is no plain vector"
    passthrough.unbind(msi)
    assert passthrough.binding_of(key) == ()
    assert passthrough.remapped_to_guest(msi.vector) != key


def test_the_hosts_own_message_names_a_cpu(machine):
    passthrough, msi = machine.context.passthrough, machine.layout.device(SID).msis[0]
    passthrough.direct(msi, 1)
    assert passthrough.goes_to(msi, 1)
    assert not passthrough.goes_to(msi, 0)
    kept = machine.memory.read(msi.msi_desc + machine.o.msi_msg, machine.o.msg_size)
    copy = passthrough.copied_message(msi)
    assert machine.memory.read(copy, machine.o.msg_size) == kept
