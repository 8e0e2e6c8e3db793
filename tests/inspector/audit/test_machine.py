"""Rules about descriptors as such, and the machine as a whole: for each a state that breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.audit import audit, the_rule
from inspector.model.absence import UNREADABLE, Absence
from inspector.model.reports import FaultReport, Message
from inspector.model.snapshot import BLOCK, MARKER, Descriptor, Snapshot, Vcpu
from inspector.model.vtd import Fault, VtdUnit
from structs.pi_desc import PI_DESC
from structs.registers import BY_NAME


def test_d14_a_vector_that_xen_does_not_use(machine):
    machine.pi(0, nv=0x41)
    assert machine.found() == {"D14": ["bug d1v0"]}


def test_d15_reserved_bits(machine):
    machine.pi(0, rsvd_511_320=1 << 100)
    assert machine.found() == {"D15": ["bug d1v0"]}


def test_d15_ndst_in_the_wrong_form(machine):
    machine.pi(0, ndst=0x1_0000 if machine.x2apic else 0)
    if not machine.x2apic:
        machine.pi(0, ndst=0x01)
        assert machine.found() == {"D15": ["bug d1v0"]}
    else:
        assert machine.found() == {"D7": ["bug d1v0"]}


def test_d23_a_vmcs_with_another_vcpus_descriptor(machine):
    vmcs = machine.layout.new_pages()
    machine.put(0, arch__hvm__vmx__vmcs_pa=vmcs)
    machine.layout.memory.set_u64(vmcs + 0x120, machine.layout.pi_desc(1, 1))
    assert machine.found() == {"D23": ["warning d1v0"]}
    machine.layout.memory.set_u64(vmcs + 0x128, machine.layout.pi_desc(1, 0))
    assert machine.found() == {}


def test_d28_what_cannot_be_read(machine):
    machine.layout.put("domain", machine.layout.domain(2), {"vcpu": 0xFFFF830000000000 + (1 << 40)})
    assert machine.found() == {"D28": ["warning machine"]}


P, W = 0xF1, 0xF2
PI = Descriptor(0x1000, (), on=0, sn=0, nv=P, ndst=0x300)


def said(rule: str, *vcpus: Vcpu, **known) -> list[tuple[str, str, str]]:
    """What a rule says: severity, subject, message."""
    known = {"x2apic": False, "posted_intr_vector": P, "pi_wakeup_vector": W} | known
    found = audit(Snapshot("a machine", vcpus=vcpus, **known), the_rule(rule))
    return [(finding.severity, finding.subject, finding.message) for finding in found]


def vcpu(number: int = 0, **fields) -> Vcpu:
    """A vCPU of domain 1, whose domain has the hooks."""
    return Vcpu(1, number, **{"hvm": True, "pi": PI, "hooks": (BLOCK,)} | fields)


def with_pi(**fields) -> Vcpu:
    """One whose descriptor differs so."""
    return vcpu(pi=replace(PI, **fields))


def test_d14_in_words():
    assert said("D14", vcpu(), with_pi(nv=W)) == []
    assert said("D14", with_pi(nv=0x41)) == [("bug", "d1v0", "NV is 0x41; Xen uses 0xf1 or 0xf2")]
    assert said("D14", with_pi(nv=0x41), pi_wakeup_vector=None) == [("bug", "d1v0", "NV is 0x41; Xen uses 0xf1")]
    assert said("D14", with_pi(nv=0x41), posted_intr_vector=None, pi_wakeup_vector=None) == []
    assert said("D14", with_pi(nv=0)) != []
    assert said("D14", replace(with_pi(nv=0), hooks=())) == [], "so it is made"


@pytest.mark.parametrize(
    ("posted", "wakeup", "missing"),
    [(0, W, "no notification"), (P, 0, "no wakeup"), (0, 0, "no notification and no wakeup")],
)
def test_d14_posting_without_a_vector(posted, wakeup, missing):
    known = {"posted_intr_vector": posted, "pi_wakeup_vector": wakeup}
    found = said("D14", with_pi(nv=posted or wakeup), intpost=True, **known)
    assert found[0] == ("bug", "machine", f"interrupt posting is on, but Xen has {missing} vector")
    assert all(subject != "machine" for _, subject, _ in said("D14", vcpu(), intpost=False, **known))
    assert said("D14", vcpu(), intpost=True, posted_intr_vector=None) == [("bug", "d1v0", "NV is 0xf1; Xen uses 0xf2")]


RESERVED = [field for field in PI_DESC.fields if field.reserved]


@pytest.mark.parametrize("field", RESERVED, ids=lambda field: field.name)
@pytest.mark.parametrize("last", [False, True])
def test_d15_names_the_reserved_field_by_its_first_and_last_bit(field, last):
    bit = 1 << (field.mask.bit_length() - 1) if last else field.mask & -field.mask
    text = f"reserved bits are set: {field.name}={field.extract(bit):#x}; hardware refuses to post"
    assert said("D15", with_pi(reserved=bit)) == [("bug", "d1v0", text)]


def test_d15_all_reserved_bits_and_ndst_by_mode():
    every = sum(field.mask for field in RESERVED)
    assert all(f"{field.name}=" in said("D15", with_pi(reserved=every))[0][2] for field in RESERVED)
    text = "NDST 0x10003 has bits 0x10003 set, which are reserved in xAPIC mode"
    assert said("D15", with_pi(ndst=0x10003)) == [("bug", "d1v0", text)]
    assert said("D15", with_pi(ndst=0x10003), x2apic=True) == said("D15", with_pi(ndst=0x10003), x2apic=None) == []
    assert said("D15", with_pi(ndst=MARKER)) == said("D15", with_pi(ndst=0xFF00)) == []


def test_d23_in_words():
    other = vcpu(1, pi=replace(PI, address=0x2000))
    text = "its VMCS holds {:#x}, {} descriptor, and not its own 0x1000"
    assert said("D23", vcpu(vmcs_pi=0x2000), other) == [("warning", "d1v0", text.format(0x2000, "d1v1's"))]
    assert said("D23", vcpu(vmcs_pi=0x9000), other) == [("warning", "d1v0", text.format(0x9000, "an unknown"))]
    assert said("D23", vcpu(vmcs_pi=0x1000), vcpu(1, vmcs_pi=None)) == []


def test_d28_each_problem_is_a_line():
    two = tuple(Absence(UNREADABLE, f"d1v{n}", f"0x{n}000 leads nowhere", member="pi") for n in (1, 2))
    found = said("D28", vcpu(), absent=two)
    assert [(severity, subject) for severity, subject, _ in found] == [("warning", "machine")] * 2
    assert [message for *_, message in found] == list(Snapshot("a machine", absent=two).problems)


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


def of_units(rule: str, *units: VtdUnit, **known) -> list[tuple[str, str, str]]:
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
    assert of_units("D22", unit(eime=eime), x2apic=x2apic) == ([("bug", "unit 1", text)] if text else [])
    # What Xen programs is not what the unit has.
    assert of_units("D22", unit(eime=eime, origin="Xen"), x2apic=x2apic) == []


@given(st.integers(0, (1 << 32) - 1))
def test_d25_every_value_of_fsts(value):
    status = FSTS.parse(value.to_bytes(4, "little"))
    errors = [name for name in ("iqe", "ice", "ite") if status[name]]
    trouble = bool(value & 0xFF)
    found = of_units("D25", unit(fsts=value))
    assert bool(found) == trouble
    if errors:
        assert found[0][2] == f"FSTS is {value:#x}: the invalidation queue has stopped ({', '.join(errors)})"
    elif trouble:
        assert found == [("warning", "unit 1", f"FSTS is {value:#x}: faults are recorded")]


def test_d25_the_number_of_a_record_that_was_cleared_is_no_trouble():
    """FRI stays when PPF is cleared (VT-d 11.4.7.1: it is valid while PPF is set)."""
    assert of_units("D25", unit(fsts=FSTS["fri"].insert(0, 3))) == []
    assert of_units("D25", unit(fsts=FSTS["ppf"].insert(FSTS["fri"].insert(0, 3), 1))) != []


def test_d25_faults_and_the_queue():
    pending = Fault(0, 1, 0x26, 0x00F8, 5)
    text = "fault 0x26 of 00:1f.0 is pending: "
    ((severity, subject, message),) = of_units("D25", unit(faults=(pending, Fault(1, 0, 0x22, 0, 0))))
    assert (severity, subject) == ("warning", "unit 1")
    assert message.startswith(text)
    assert len(message) > len(text)
    assert of_units("D25", unit(faults=(Fault(0, 1, 0xEE, 0x00F8, 5),)))[0][2] == "fault 0xee of 00:1f.0 is pending"
    waits = "the invalidation queue is not empty: head 0x10, tail 0x40"
    assert of_units("D25", unit(iqh=0x10, iqt=0x40)) == [("warning", "unit 1", waits)]
    assert (
        of_units("D25", unit(iqh=None, iqt=0x40))
        == of_units("D25", unit(iqh=0, iqt=None))
        == of_units("D25", unit())
        == []
    )


def test_d25_what_a_log_tells():
    reports = (FaultReport(0x300, 0x26, 0x1A, count=2), FaultReport(0x10300, None), FaultReport(0x300, 0xEE))
    messages = (Message("queue", "Queue invalidate wait descriptor timed out", count=3), Message("apic-error", "x", 2))
    found = [(subject, message) for _, subject, message in of_units("D25", faults=reports, messages=messages)]
    assert found[0][0] == "03:00.0"
    assert found[0][1].startswith("Xen reported fault 0x26 at index 0x1a, 2 times: ")
    assert found[1:] == [
        ("03:00.0", "Xen reported a fault whose reason is lost"),
        ("03:00.0", "Xen reported fault 0xee"),
        ("machine", "Xen reported: Queue invalidate wait descriptor timed out (3 times)"),
        ("CPU 2", "Xen reported: x"),
    ]
