"""Devices, units and the toolstack."""

from __future__ import annotations

import pytest

from sim_backend.logic.actors import is_blocked
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def test_nobody_does_anything_of_himself_here(machine):
    w = machine.context
    for actor in (*w.devices.values(), *w.units, w.toolstack, w.outside):
        assert not actor.turn(w)
    assert not w.state.background


def test_a_device_sends_what_it_was_told_in_order(machine):
    w, device = machine.context, machine.context.devices[0x18]
    device.queue += [1, 0]
    sent = []
    while device.turn(w):
        if len(device.stack) == 1 and device.stack[0][1] == 1:
            sent.append(device.stack[0][3:5])
    msis = machine.layout.device(0x18).msis
    assert sent == [[msis[n].address, msis[n].data] for n in (1, 0)]


def test_the_toolstack_does_one_order_after_the_other(machine):
    machine.sleep("d1v0")
    machine.sleep("d1v1")
    assert len(machine.context.toolstack.queue) == 2
    assert machine.context.toolstack.turn(machine.context)
    assert len(machine.context.toolstack.queue) == 1
    machine.settle()
    assert not machine.toolstack_busy()


def test_blocked_is_the_flag(machine):
    v = machine.vcpu("d1v0")
    assert not is_blocked(machine.context, v)
    machine.block("d1v0")
    machine.settle()
    assert is_blocked(machine.context, v)
