"""How the parts of a machine come together."""

from __future__ import annotations

import pytest

from sim_backend.logic.kinds import held_fields
from sim_backend.machine.assembly import records
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("hotplug"), seed=2, store_buffers=True)
    machine.run(3000)
    return machine


def test_whatever_declares_a_field_is_a_record(machine):
    """Of everything that a machine reaches, what has declared fields is copied, digested and saved."""
    known = {id(record) for record in machine.records.values()}
    seen, queue = set(), [machine.context, *machine.actors]
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


def test_a_copy_shares_nothing_that_changes(machine):
    other = machine.copy()
    ours = {id(record) for record in machine.records.values()}
    assert not ours & {id(record) for record in other.records.values()}
    assert other.memory is not machine.memory
    assert other.context.outside.environment is other
    assert all(cpu.lapic.memory is other.layout.memory for cpu in other.cpus)
    before = machine.digest()
    other.run(2000)
    assert machine.digest() == before
    assert other.digest() != before


def test_records_have_names_of_their_own(machine):
    names = list(records(machine.context, machine.actors))
    assert len(names) == len(set(names)) == 1 + len(machine.actors) + len(machine.cpus)
