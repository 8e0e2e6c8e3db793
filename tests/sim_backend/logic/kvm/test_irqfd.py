"""A guest's device interrupts: routes, producers, entries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim_backend.logic.kvm.versions import KVM
from sim_backend.logic.vtd_engine import IM, posted_pda, posted_vector
from sim_backend.memory.errors import SimError
from tests.sim_backend.logic.kvm.conftest import DEVICE, SID, blocked, made


def entry(machine, number=0):
    """The entry of the device's interrupt."""
    msi = machine.layout.device(SID).msis[number]
    return int.from_bytes(machine.memory.read(machine.layout.irte(msi.unit, msi.index), 16), "little")


def target(machine, number=0):
    """To whom the entry posts, and the vector; None if it does not post."""
    raw = entry(machine, number)
    return (machine.vcpu_name(posted_pda(raw) - machine.o.pi_desc), posted_vector(raw)) if raw & IM else None


def test_a_devices_interrupts_are_posted_from_the_beginning(machine):
    assert [target(machine, number) for number in (0, 1)] == [("vm1v0", 0x30), ("vm1v1", 0x38)]
    assert machine.memory.u32(machine.layout.vm(1) + machine.o.assigned) == 2


def test_another_route_is_another_target(machine):
    machine.retarget(DEVICE, 0, "vm1v1")
    machine.settle()
    assert target(machine) == ("vm1v1", 0x30)


@pytest.mark.parametrize("order", ["broadcast", "unroute"])
def test_a_route_that_cannot_be_posted_gives_the_entry_back(machine, order):
    msi = machine.layout.device(SID).msis[0]
    own = int.from_bytes(machine.memory.read(msi.msi_desc + machine.o.irte_entry, 16), "little")
    getattr(machine, order)(DEVICE, 0)
    machine.settle()
    assert entry(machine) == own
    assert machine.memory.u8(msi.msi_desc + machine.o.posted_vcpu) == 0


def test_before_the_repair_it_stayed_posted():
    machine = made(version=replace(KVM, name="before 9bcac97dc42d", unroute_restores=False))
    machine.unroute(DEVICE, 0)
    machine.settle()
    assert target(machine) == ("vm1v0", 0x30)


def test_the_host_moves_its_interrupt_and_the_guest_sees_nothing(machine):
    before = entry(machine)
    machine.move_interrupt(DEVICE, 0, 1)
    machine.settle()
    assert entry(machine) == before
    machine.unroute(DEVICE, 0)
    machine.settle()
    assert entry(machine) >> 40 & 0xFF == 1, "its own entry names CPU 1 now"


def test_the_first_device_has_those_look_again_that_are_blocked(machine):
    machine.deassign(DEVICE)
    machine.settle()
    v = blocked(machine)
    assert machine.memory.u8(v + machine.o.nv) == 0xF2
    machine.assign(DEVICE, 1)
    machine.settle()
    assert machine.memory.u8(v + machine.o.nv) == 0xF1, "it went back to sleep, on a list now"
    assert target(machine) == ("vm1v0", 0x30)


def test_what_a_guest_has_programmed_is_in_memory(machine):
    msi = machine.layout.device(SID).msis[1]
    layout = machine.layout
    assert layout.get("kvm_kernel_irqfd", msi.pirq, "irq_entry.msi.data") == 0x38
    machine.unroute(DEVICE, 1)
    machine.settle()
    assert layout.get("kvm_kernel_irqfd", msi.pirq, "irq_entry.type") == 0
    assert machine.state.routes[SID << 16 | 1] == ()


def test_orders_that_make_no_sense(machine):
    for order, arguments, message in (
        ("assign", (DEVICE, 1), "already"),
        ("assign", (DEVICE, 9), "no VM 9"),
        ("retarget", (DEVICE, 7, "vm1v0"), "vectors 0 to 1"),
        ("retarget", (DEVICE, 0, "vm1v7"), "no vCPU"),
        ("move_interrupt", (DEVICE, 0, 5), "CPU 5"),
    ):
        with pytest.raises(SimError, match=message):
            getattr(machine, order)(*arguments)
