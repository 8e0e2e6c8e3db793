"""What a machine can be told to do."""

from __future__ import annotations

import pytest

from sim_backend.machine.environment import ORDERS, Move, give
from sim_backend.machine.machine import Machine
from sim_backend.machine.orders import IPI_VECTOR
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def where(machine, name):
    return machine.memory.u32(machine.vcpu(name) + machine.o.processor)


def test_a_blocked_vcpu_is_moved_and_stays_there(machine):
    machine.block("d1v0")
    machine.settle()
    there = 1 - where(machine, "d1v0")
    machine.migrate("d1v0", there)
    assert machine.toolstack_busy()
    machine.settle()
    assert where(machine, "d1v0") == there
    assert not machine.toolstack_busy()


def test_an_ipi_arrives_at_who_is_blocked(machine):
    machine.block("d1v1")
    machine.settle()
    machine.ipi("d1v0", "d1v1")
    vectors = []
    machine.context.tally = Taken(vectors)
    machine.settle()
    assert vectors == [(machine.vcpu("d1v1"), IPI_VECTOR)]


class Taken:
    def __init__(self, vectors):
        self.vectors = vectors

    def posted(self, v, vector):
        pass

    def taken(self, v, vector):
        self.vectors.append((v, vector))


def test_a_guest_that_is_paused_does_nothing_until_it_is_woken(machine):
    machine.sleep("d1v0")
    machine.settle()
    assert machine.vcpu("d1v0") not in machine.state.scheduled
    machine.wake("d1v0")
    machine.settle()
    assert machine.vcpu("d1v0") in machine.state.scheduled


def test_swapped_apic_ids_swap_whom_messages_name(machine):
    before = dict(machine.state.bindings)
    machine.swap_apic_ids("d1v0", "d1v1")
    assert machine.state.bindings != before
    machine.swap_apic_ids("d1v0", "d1v1")
    assert machine.state.bindings == before


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (lambda m: m.post("00:1f.0"), "there is no device 00:1f.0"),
        (lambda m: m.post("00:03.0", 99), "vectors 0 to"),
        (lambda m: m.deliver("d1v0", 3), "0x10 to 0xff"),
        (lambda m: m.migrate("d1v0", 77), "CPU 77 is not there"),
        (lambda m: m.offline(0), "CPU 0 cannot go offline"),
        (lambda m: m.bring_online(0), "CPU 0 is not offline"),
        (lambda m: m.assign("00:03.0", 9), "no domain 9"),
        (lambda m: m.destroy_domain(9), "no domain 9"),
        (lambda m: m.block("d9v9"), "there is no vCPU d9v9; there are d1v0"),
    ],
)
def test_what_there_is_not_is_said_and_nothing_happens(machine, order, message):
    before = machine.digest()
    with pytest.raises(SimError, match=message):
        order(machine)
    assert machine.digest() == before


def test_an_order_is_a_method_of_the_environment_and_nothing_else_is():
    assert {"post", "block", "offline", "suspend", "swap_apic_ids"} <= set(ORDERS)
    assert not {"run", "save", "order", "toolstack_busy", "create_domain", "add_device", "vcpu", "context"} & set(
        ORDERS
    )


def test_given_by_name_it_is_the_same_order(machine):
    other = machine.copy()
    machine.post("00:03.0", 1)
    give(other, "post", ("00:03.0", 1))
    assert machine.digest() == other.digest()


@pytest.mark.parametrize(
    ("order", "arguments", "message"),
    [
        ("reboot", (), "no order 'reboot'"),
        ("_bind", (1, 2, 3), "no order '_bind'"),
        ("block", (), "takes vcpu"),
        ("block", ("d1v0", 1), "takes vcpu"),
        ("block", (5,), "expected a name"),
        ("offline", ("1",), "expected a whole number"),
        ("offline", (True,), "expected a whole number"),
        ("preempt", ("d1v0", 1), "expected true or false"),
    ],
)
def test_what_is_no_order(machine, order, arguments, message):
    before = machine.digest()
    with pytest.raises(SimError, match=message):
        give(machine, order, arguments)
    assert machine.digest() == before


def test_a_move_as_a_line():
    assert str(Move(turn="CPU 0")) == "CPU 0"
    assert str(Move(order="ipi", arguments=("d1v0", "d1v1", 48))) == "ipi d1v0 d1v1 48"
