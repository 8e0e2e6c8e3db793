"""D19: entries with reserved bits, or with values that are reserved in the unit's mode."""

from __future__ import annotations

import pytest

from inspector.audit import audit, the_rule
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import Dmar, VtdUnit
from structs.acpi import EMPTY_HEADER
from structs.dmar import DMAR
from structs.irte import POSTED, REMAPPED


def machine(eime: int, **fields: int) -> Snapshot:
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
    (finding,) = audit(machine(eime, **fields), the_rule("D19"))
    assert (finding.severity, finding.subject) == ("bug", "unit 0 entry 0x5")
    assert said in finding.message


@pytest.mark.parametrize(
    ("eime", "fields"),
    [(1, {"dst": 0x10000}), (0, {"dst": 0x300}), (1, {"im": 1, "pda": 0x1000}), (0, {"dlm": 5, "vector": 2})],
)
def test_what_it_does_not_fault_on_is_none(eime: int, fields: dict[str, int]) -> None:
    assert audit(machine(eime, **fields), the_rule("D19")) == []
