"""Rules about the units' registers: for each a state that breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.audit import audit, the_rule
from inspector.model.reports import FaultReport, Message
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import Fault, VtdUnit
from structs.registers import BY_NAME


def test_d22_unit_and_xen_disagree_about_x2apic(machine):
    irta = machine.layout.register(0, "IRTA")
    machine.layout.memory.set_u64(irta, machine.layout.memory.u64(irta) ^ 1 << 11)
    assert machine.found()["D22"] == ["bug unit 0"]


def test_d25_trouble_of_the_unit(machine):
    tail = machine.layout.register(0, "IQT")
    machine.layout.memory.set_u64(tail, machine.layout.memory.u64(tail) + 16)
    assert machine.found() == {"D25": ["warning unit 0"]}
    machine.layout.memory.set_u64(tail, machine.layout.memory.u64(tail) - 16)
    machine.layout.memory.write(machine.layout.register(0, "FSTS"), b"\x10\0\0\0")
    assert machine.found() == {"D25": ["warning unit 0"]}


FSTS = BY_NAME["FSTS"].record


def said(rule: str, *units: VtdUnit, **known) -> list[tuple[str, str, str]]:
    """What a rule says: severity, subject, message."""
    found = audit(Snapshot("a machine", units=units, **known), the_rule(rule))
    return [(finding.severity, finding.subject, finding.message) for finding in found]


def unit(**fields) -> VtdUnit:
    """A unit whose registers were read, without trouble."""
    return VtdUnit(1, 0xFED90000, **{"origin": "IRTA", "fsts": 0, "iqh": 0x20, "iqt": 0x20} | fields)


@pytest.mark.parametrize(
    ("eime", "x2apic", "text"),
    [
        (0, True, "has EIME=0, but Xen is in x2APIC mode"),
        (1, False, "has EIME=1, but Xen is in xAPIC mode"),
        (1, True, None),
        (0, False, None),
        (0, None, None),
    ],
)
def test_d22_in_words(eime, x2apic, text):
    assert said("D22", unit(eime=eime), x2apic=x2apic) == ([("bug", "unit 1", text)] if text else [])
    # What Xen programs is not what the unit has.
    assert said("D22", unit(eime=eime, origin="Xen"), x2apic=x2apic) == []


@given(st.integers(0, (1 << 32) - 1))
def test_d25_every_value_of_fsts(value):
    status = FSTS.parse(value.to_bytes(4, "little"))
    errors = [name for name in ("iqe", "ice", "ite") if status[name]]
    trouble = bool(value & 0xFF)
    found = said("D25", unit(fsts=value))
    assert bool(found) == trouble
    if errors:
        assert found[0][2] == f"FSTS is {value:#x}: the invalidation queue has stopped ({', '.join(errors)})"
    elif trouble:
        assert found == [("warning", "unit 1", f"FSTS is {value:#x}: faults are recorded")]


def test_d25_the_number_of_a_record_that_was_cleared_is_no_trouble():
    """FRI stays when PPF is cleared (VT-d 11.4.7.1: it is valid while PPF is set)."""
    assert said("D25", unit(fsts=FSTS["fri"].insert(0, 3))) == []
    assert said("D25", unit(fsts=FSTS["ppf"].insert(FSTS["fri"].insert(0, 3), 1))) != []


def test_d25_faults_and_the_queue():
    pending = Fault(0, 1, 0x26, 0x00F8, 5)
    text = "fault 0x26 of 00:1f.0 is pending: "
    ((severity, subject, message),) = said("D25", unit(faults=(pending, Fault(1, 0, 0x22, 0, 0))))
    assert (severity, subject) == ("warning", "unit 1")
    assert message.startswith(text)
    assert len(message) > len(text)
    assert said("D25", unit(faults=(Fault(0, 1, 0xEE, 0x00F8, 5),)))[0][2] == "fault 0xee of 00:1f.0 is pending"
    waits = "the invalidation queue is not empty: head 0x10, tail 0x40"
    assert said("D25", unit(iqh=0x10, iqt=0x40)) == [("warning", "unit 1", waits)]
    assert said("D25", unit(iqh=None, iqt=0x40)) == said("D25", unit(iqh=0, iqt=None)) == said("D25", unit()) == []


def test_d25_what_a_log_tells():
    reports = (FaultReport(0x300, 0x26, 0x1A, count=2), FaultReport(0x10300, None), FaultReport(0x300, 0xEE))
    messages = (Message("queue", "Queue invalidate wait descriptor timed out", count=3), Message("apic-error", "x", 2))
    found = [(subject, message) for _, subject, message in said("D25", faults=reports, messages=messages)]
    assert found[0][0] == "03:00.0"
    assert found[0][1].startswith("Xen reported fault 0x26 at index 0x1a, 2 times: ")
    assert found[1:] == [
        ("03:00.0", "Xen reported a fault whose reason is lost"),
        ("03:00.0", "Xen reported fault 0xee"),
        ("machine", "Xen reported: Queue invalidate wait descriptor timed out (3 times)"),
        ("CPU 2", "Xen reported: x"),
    ]
