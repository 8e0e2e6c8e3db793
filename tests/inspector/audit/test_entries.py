"""Rules about entries: for each a state that breaks it; and for D19 each bit and value that is reserved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.audit import audit, the_rule
from inspector.model.interrupts import Msi
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import Dmar, VtdUnit
from sim_backend.layout.interrupts import irq_desc
from structs.acpi import EMPTY_HEADER
from structs.dmar import DMAR
from structs.irte import POSTED, REMAPPED


def unit_with(eime: int, **fields: int) -> Snapshot:
    """One unit with one entry, on a machine with physical addresses of 39 bits."""
    raw = (POSTED if fields.get("im") else REMAPPED).build({"p": 1, "svt": 1, **fields})
    table = DMAR.build({"signature": b"DMAR", "body": {**EMPTY_HEADER, "haw": 38, "structures": []}})
    unit = VtdUnit(0, 0xFED90000, base=0x10000, size=256, eime=eime, cap_pi=1, indices=(5,), raw=raw)
    return Snapshot("a machine", units=(unit,), dmar=Dmar(0x1000, table))


@pytest.mark.parametrize(
    ("eime", "fields", "said"),
    [
        (0, {"dlm": 3}, "dlm=0x3 (reserved)"),
        (1, {"dlm": 6}, "dlm=0x6 (reserved)"),
        (1, {"svt": 3}, "svt=0x3 (reserved)"),
        (0, {"dst": 0x10000}, "dst=0x10000 (reserved in xAPIC mode but for bits 15:8)"),
        (1, {"rsvd_31_24": 1}, "rsvd_31_24=0x1"),
        (1, {"im": 1, "pda": 1 << 40}, "pda=0x10000000000 (beyond the 39 bits of physical addresses)"),
        (1, {"im": 1, "pda": 0x1000, "rsvd_7_2": 2}, "rsvd_7_2=0x2 (DM, RH, TM, DLM of a remapped entry?)"),
    ],
)
def test_what_hardware_faults_on_is_a_bug(eime: int, fields: dict[str, int], said: str) -> None:
    (finding,) = audit(unit_with(eime, **fields), the_rule("D19"))
    assert (finding.severity, finding.subject) == ("bug", "unit 0 entry 0x5")
    assert said in finding.message


@pytest.mark.parametrize(
    ("eime", "fields"),
    [(1, {"dst": 0x10000}), (0, {"dst": 0x300}), (1, {"im": 1, "pda": 0x1000}), (0, {"dlm": 5, "vector": 2})],
)
def test_what_it_does_not_fault_on_is_none(eime: int, fields: dict[str, int]) -> None:
    assert audit(unit_with(eime, **fields), the_rule("D19")) == []


ENTRY0, ENTRY1 = "unit 0 entry 0x18", "unit 0 entry 0x19"


def test_d17_a_posted_entry_to_no_vcpu(machine):
    nowhere = machine.layout.new_pages()
    machine.posted(0, pda=nowhere)
    assert machine.found() == {"D17": [f"bug {ENTRY0}"], "D18": [f"bug {ENTRY0}"]}


def test_d17_a_posted_entry_to_another_domains_vcpu(machine):
    machine.layout.post_msi(machine.layout.device(0x18).msis[0], 2, 0, 0x61)
    machine.pi(0, domain=2, ndst=machine.ndst(0))
    assert machine.found() == {"D17": [f"bug {ENTRY0}"]}


def test_d18_entry_and_record_differ(machine):
    machine.posted(0, vector=0x99)
    assert machine.found() == {"D18": [f"bug {ENTRY0}"]}
    machine.places[2] = "pi_update_irte"
    assert machine.found() == {"D18": [f"warning {ENTRY0}"]}


def test_d18_a_remapped_entry_has_its_irqs_vector(machine):
    irq = machine.layout.device(0x20).msis[0].irq
    vector = machine.layout.get("irq_desc", irq_desc(machine.layout, irq), "arch.vector")
    machine.layout.put("irq_desc", irq_desc(machine.layout, irq), {"arch.vector": vector + 1})
    assert machine.found() == {"D18": ["bug unit 0 entry 0x1a"]}
    # None is assigned.
    machine.layout.put("irq_desc", irq_desc(machine.layout, irq), {"arch.vector": 0xFFFF})
    assert machine.found() == {}


def test_d19_bits_of_a_remapped_entry_in_a_posted_one(machine):
    machine.posted(0, rsvd_7_2=1)
    assert machine.found() == {"D19": [f"bug {ENTRY0}"]}


def test_d20_a_source_that_is_not_checked(machine):
    machine.posted(1, svt=0)
    assert machine.found() == {"D20": [f"bug {ENTRY1}"]}


def test_d21_posted_in_a_unit_that_cannot_post(machine):
    cap = machine.layout.register(0, "CAP")
    machine.layout.memory.set_u64(cap, machine.layout.memory.u64(cap) & ~(1 << 59))
    assert machine.found() == {"D21": [f"bug {ENTRY0}", f"bug {ENTRY1}"]}


def test_d24_xen_counts_other_entries(machine):
    machine.irte(0, bytes(16))
    assert machine.found() == {"D24": ["warning unit 0"]}


def test_d29_an_urgent_entry(machine):
    machine.posted(0, urg=1)
    assert machine.found() == {"D29": [f"warning {ENTRY0}"]}


def test_d19_a_remapped_entry_with_a_destination_of_the_other_mode(machine):
    msi = machine.layout.device(0x20).msis[0]
    place = machine.layout.irte(msi.unit, msi.index)
    entry = REMAPPED.parse(machine.layout.memory.read(place, 16))
    machine.layout.memory.write(place, REMAPPED.build(dict(entry) | {"dst": 0x1_0000}))
    # In x2APIC mode it is no reserved bit but an APIC that no CPU has.
    assert machine.found() == {"D34" if machine.x2apic else "D19": [f"bug unit 0 entry {msi.index:#x}"]}


def test_d32_a_message_that_was_overwritten(machine):
    msi = machine.layout.device(0x20).msis[0]
    machine.layout.put("msi_desc", msi.msi_desc, {"msg.address_lo": msi.address})
    assert machine.found() == {"D32": [f"warning irq {msi.irq}"]}


def test_d18_a_record_of_an_index_that_no_table_has():
    """As a damaged msi_desc has, or a saved snapshot."""
    snapshot = replace(unit_with(0), msis=(Msi(24, (1 << 64) - 1, "MSI", 0x18, 0, 0),))
    assert audit(snapshot, the_rule("D18")) == []
