"""Orders that machines with Xen and with KVM take alike."""

from __future__ import annotations

import pytest

from sim_backend.machine.environment import Environment, orders
from sim_backend.machine.kvm import KvmEnvironment, KvmMachine
from sim_backend.machine.machine import Machine
from sim_backend.machine.orders import Orders
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load

SHARED = {"post", "request", "deliver", "hypercall", "down", "ipi", "preempt", "tasklet", "migrate"}


@pytest.fixture(params=[Machine, KvmMachine])
def machine(request):
    machine = request.param(load("idle"))
    machine.settle()
    return machine


def test_both_take_them_and_orders_of_their_own():
    assert set(orders(Orders)) == SHARED
    for environment in (Environment, KvmEnvironment):
        assert set(orders(environment)) > SHARED
        assert not {"order", "toolstack_busy", "with_vector", "check_cpu", "is_connected"} & set(orders(environment))


def test_a_device_and_software_post(machine):
    v = machine.vcpu("d1v0")
    taken = []

    class Tally:
        def posted(self, v, vector):
            pass

        def taken(self, v, vector):
            taken.append((v, vector))

    machine.context.tally = Tally()
    machine.deliver("d1v0", 0x61)
    machine.post("00:03.0")
    machine.settle()
    assert (v, 0x61) in taken
    assert len(taken) == 2


def test_what_is_not_there_is_refused(machine):
    with pytest.raises(SimError, match="vector 0xf: a guest's interrupts have vectors 0x10 to 0xff"):
        machine.deliver("d1v0", 15)
    with pytest.raises(SimError, match=r"device 00:03\.0 has vectors 0 to \d+, not 99"):
        machine.post("00:03.0", 99)
    with pytest.raises(SimError, match="CPU 7 is not there or not online; there are 0, 1"):
        machine.migrate("d1v0", 7)
    machine.block("d1v0")
    machine.settle()
    with pytest.raises(SimError, match="v0 does not run: there is nothing to preempt"):
        machine.preempt("d1v0")
