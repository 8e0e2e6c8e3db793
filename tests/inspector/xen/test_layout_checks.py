"""What speaks for a member, and what against it."""

from __future__ import annotations

import pytest

from inspector.xen.layout_checks import WORDS, _flags, _holds_through

MADE_FOR_A_NEW_VCPU, SAVED_BY_A_CPU = 0x200, 0x246


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None, 0], []),
        ([SAVED_BY_A_CPU, 0], [("x", True)]),
        ([SAVED_BY_A_CPU, 1 << 40], [("x", False)]),
        ([MADE_FOR_A_NEW_VCPU, SAVED_BY_A_CPU, None], []),
    ],
)
def test_saved_flags(values, said):
    assert list(_flags("x", values)) == said


UNIT, IOMMU, INTEL, OTHER = (0xFFFF830000001000 + at for at in (0, 0x1000, 0x2000, 0x3000))


class Memory:
    """Words at addresses, and nothing elsewhere."""

    def __init__(self, **words: dict[int, int]) -> None:
        self._words = words

    def words(self, address: int, count: int) -> list[int]:
        held = self._words.get(hex(address))
        return [held.get(at, 0) for at in range(count)] if held is not None else []


@pytest.mark.parametrize(
    ("iommu", "intel", "holds"),
    [
        ({9: INTEL, 10: OTHER}, {3: UNIT}, True),
        ({9: INTEL}, {3: UNIT + 8}, False),
        ({WORDS: INTEL}, {3: UNIT}, False),
        ({9: UNIT}, {3: UNIT}, False),
        ({9: INTEL & 0xFFFFFFFF}, {3: UNIT}, False),
    ],
)
def test_what_leads_back_through_another_structure(iommu, intel, holds):
    """As `struct iommu` to its unit before 4.13; a pointer to the unit itself is followed nowhere."""
    memory = Memory(**{hex(IOMMU): iommu, hex(INTEL): intel, hex(UNIT): {0: UNIT}})
    assert _holds_through(memory, IOMMU, UNIT) is holds
