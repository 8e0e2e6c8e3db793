"""What can be named at the prompt, of real captures and of a simulated machine with devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.audit import rules
from inspector.base.errors import TargetError
from inspector.capture.inspection import Inspection
from inspector.repl import objects
from inspector.repl.objects import KINDS, Objects, known
from inspector.targets.open_file import open_file
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture(scope="module")
def simulated():
    """A machine with a posted device."""
    machine = Machine(load("one-device"), seed=1)
    machine.run(500)
    return Inspection(Simulation(machine))


@pytest.fixture(scope="module")
def captured(golden):
    """A real capture."""
    with open_file(golden("lost-wakeup")) as target:
        yield Inspection(target)


@given(st.dictionaries(st.text("abd0", max_size=4), st.text(max_size=3)), st.text("abd0", max_size=3))
def test_those_that_begin_so_in_order(described, prefix):
    made = Objects(described.items())
    assert len(made) == len(described)
    assert list(made.beginning(prefix)) == sorted(item for item in described.items() if item[0].startswith(prefix))


def test_a_name_that_comes_twice_is_there_once_with_what_was_said_last():
    assert list(Objects([("a", "one"), ("b", "x"), ("a", "two")]).beginning("")) == [("a", "two"), ("b", "x")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_a_simulated_machine(simulated, kind):
    found = dict(KINDS[kind](simulated))
    assert found
    assert all(isinstance(name, str) and name and isinstance(words, str) and words for name, words in found.items())
    assert dict(known(kind)(simulated).beginning("")) == found


def test_what_is_said_of_each_is_what_the_machine_is(simulated):
    snapshot = simulated.snapshot
    said = dict(objects.vcpus(simulated))
    for vcpu in snapshot.vcpus:
        words = said[vcpu.name]
        assert words.startswith(vcpu.runstate)
        assert f"CPU {vcpu.cpu}" in words
        if vcpu.pi:
            assert f"ON={vcpu.pi.on} SN={vcpu.pi.sn}" in words
            assert ("PIR empty" in words) != bool(vcpu.pi.pir)
            assert dict(objects.descriptors(simulated))[f"{vcpu.pi.address:#x}"]
        assert ("on the list of CPU" in words) == (vcpu.blocking_list is not None)
    assert dict(objects.cpus(simulated)).keys() == {str(cpu.cpu) for cpu in snapshot.cpus}
    for cpu in snapshot.cpus:
        assert f"APIC {cpu.apic_id:#x}, runs {cpu.current}" in dict(objects.cpus(simulated))[str(cpu.cpu)]
    assert dict(objects.units(simulated)) == {
        str(unit.index): f"registers at {unit.register_base:#x}" for unit in snapshot.units
    }
    assert [name for name, _ in objects.rules(simulated)] == [rule.id for rule in rules()]


def test_entries_by_index_with_what_they_are(simulated):
    said = dict(objects.entries(simulated))
    table = simulated.snapshot.irt()
    assert list(said) == [f"{index:#06x}" for index in table["index"]]
    posted = [words for words in said.values() if words.startswith("posted vector ")]
    assert posted
    assert all(" to 0x" in words for words in posted)
    assert all(" to APIC 0x" in words for words in said.values() if words.startswith("remapped"))


def test_devices_are_those_that_something_names(simulated):
    said = dict(objects.devices(simulated))
    msis = {msi.device for msi in simulated.deferred.msis}
    assert msis
    for device in msis:
        name = f"{device >> 8 & 0xFF:02x}:{device >> 3 & 0x1F:02x}.{device & 7}"
        assert "irq" in said[name]


def test_a_descriptor_of_a_real_capture_is_its_vcpus(captured):
    said = dict(objects.descriptors(captured))
    for vcpu in captured.snapshot.vcpus:
        if vcpu.pi:
            assert said[f"{vcpu.pi.address:#x}"] == f"of {vcpu.name}"


def test_registers_have_their_value_or_what_they_are(simulated, captured):
    with_value, without = dict(objects.registers(simulated)), dict(objects.registers(captured))
    assert with_value.keys() == without.keys()
    unit = simulated.deferred.units[0]
    assert with_value["irta"] == f"{unit.raw_register('IRTA'):#x}"
    assert without["irta"], "a dump has no registers: it says what the register is"


def test_what_was_found_before_the_rest_could_not_be_read_is_kept(monkeypatch, simulated):
    def partly(inspection):
        yield "d1v0", "running"
        raise TargetError("lost")

    def none(inspection):
        raise TargetError("lost")
        yield

    monkeypatch.setitem(KINDS, "dXvY", partly)
    assert list(known("dXvY")(simulated).beginning("")) == [("d1v0", "running")]
    monkeypatch.setitem(KINDS, "dXvY", none)
    with pytest.raises(TargetError, match="lost"):
        known("dXvY")(simulated)
