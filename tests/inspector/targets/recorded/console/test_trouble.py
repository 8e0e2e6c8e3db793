"""Messages about interrupts that went wrong."""

from __future__ import annotations

import pytest

from inspector.targets.recorded.console import trouble
from inspector.targets.recorded.console.trouble import MessageFacts

from .printing import numbered


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("CPU3: No irq handler for vector 62 (IRQ -34)", MessageFacts("no-handler", 1, "", "", 3, 0x62)),
        ("CPU1: No irq handler for vector 93 (IRQ 26, LAPIC)", MessageFacts("no-handler", 1, "", "", 1, 0x93)),
        ("APIC error on CPU3: 00(08)", MessageFacts("apic-error", 1, "", "", 3)),
        ("APIC error on CPU0: 40(00), Received illegal vector", MessageFacts("apic-error", 1, "", "", 0)),
        ("[VT-D] IOMMU#2: QI dev wait descriptor taking too long", MessageFacts("queue", 1, "", "", unit=2)),
        ("[VT-D] Queue invalidate wait descriptor timed out", MessageFacts("queue", 1, "", "")),
        ("queue invalidate wait descriptor was not executed", MessageFacts("queue", 1, "", "")),
        ("[VT-D]iommu.c:895: iommu_fault_status: Primary Pending Fault", MessageFacts("status", 1, "", "")),
    ],
)
def test_each_form_is_read(line: str, expected: MessageFacts) -> None:
    (found,) = trouble.read(numbered([line])).messages
    assert trouble.KEY.belongs.match(line)
    assert (found.kind, found.cpu, found.vector, found.unit) == (
        expected.kind,
        expected.cpu,
        expected.vector,
        expected.unit,
    )
    assert found.text.strip() in line
