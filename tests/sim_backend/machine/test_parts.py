"""A machine's parts, and how they are named."""

from __future__ import annotations

import pytest

from sim_backend.logic.context import CPU, DEVICE, DOMAIN, ENTRY, UNIT, VCPU
from sim_backend.logic.kinds import held_fields
from sim_backend.machine.machine import Machine
from sim_backend.machine.parts import records
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.fixture(scope="module")
def machine():
    return Machine(load("one-device"))


def test_a_vcpu_by_each_of_its_names(machine):
    v = machine.layout.vcpu(1, 1)
    assert machine.vcpu("d1v1") == machine.vcpu((1, 1)) == machine.vcpu(v) == v
    assert machine.vcpu_name(v) == "d1v1"


@pytest.mark.parametrize("name", ["d1v99", "v1", (3, 0), 0x1234])
def test_what_is_no_vcpu(machine, name):
    with pytest.raises(SimError, match="there is no vCPU"):
        machine.vcpu(name)


def test_everything_has_a_name(machine):
    layout = machine.layout
    subjects = {
        (VCPU, layout.vcpu(1, 0)): "d1v0",
        (VCPU, layout.idle_vcpu(1)): "idle 1",
        (VCPU, 0x1000): "freed vCPU at 0x1000",
        (CPU, 1): "CPU 1",
        (UNIT, 0): "unit 0",
        (DEVICE, 0x18): "device 00:03.0",
        (ENTRY, 1 << 16 | 24): "unit 1 entry 24",
        (DOMAIN, layout.domain(1)): "d1",
        (DOMAIN, 0x2000): "domain at 0x2000",
    }
    assert {key: machine.name_of(*key) for key in subjects} == subjects


@pytest.fixture
def hotplugged():
    machine = Machine(load("hotplug"), seed=2, store_buffers=True)
    machine.run(3000)
    return machine


def test_whatever_declares_a_field_is_a_record(hotplugged):
    """Of everything that a machine reaches, what has declared fields is copied, digested and saved."""
    known = {id(record) for record in hotplugged.records.values()}
    seen, queue = set(), [hotplugged.context, *hotplugged.actors]
    while queue:
        each = queue.pop()
        if id(each) in seen or type(each).__module__.split(".")[0] != "sim_backend" or isinstance(each, Machine):
            continue
        seen.add(id(each))
        try:
            declared = held_fields(type(each))
        except TypeError:
            declared = ()
        assert not declared or id(each) in known, each
        names = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
        for value in (getattr(each, name, None) for name in names):
            queue += value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else [value]


def test_a_copy_shares_nothing_that_changes(hotplugged):
    other = hotplugged.copy()
    ours = {id(record) for record in hotplugged.records.values()}
    assert not ours & {id(record) for record in other.records.values()}
    assert other.memory is not hotplugged.memory
    assert other.context.outside.machine is other
    assert all(cpu.lapic.memory is other.layout.memory for cpu in other.cpus)
    before = hotplugged.digest()
    other.run(2000)
    assert hotplugged.digest() == before
    assert other.digest() != before


def test_records_have_names_of_their_own(hotplugged):
    names = list(records(hotplugged.context, hotplugged.actors))
    assert len(names) == len(set(names)) == 1 + len(hotplugged.actors) + len(hotplugged.cpus)
