"""Orders by name, as histories have them."""

from __future__ import annotations

import pytest

from sim_backend.machine.machine import Machine
from sim_backend.machine.moves import ORDERS, Move, give
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


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
