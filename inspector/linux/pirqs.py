"""The irqs of a Linux that a Xen raises for it: domain 0's, each by Xen's number for it (pirq).

Source: drivers/xen/events/events_base.c (`struct irq_info`, the `xen-pirq` controller).
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.base.errors import UNREADABLE
from inspector.linux.irq_chain import OF_XEN, LinuxIrq
from inspector.linux.linux import Linux
from inspector.model.snapshot import Pirq

LEGACY, LEGACY_IRQS = "legacy_info_ptrs", 16
"""The array that has the `struct irq_info` of ISA irqs, whose `chip_data` is another's (set_info_for_irq)."""
BOUND_TO_PIRQ = 1
"""`irq_info.type`: IRQT_PIRQ."""


def pirqs(linux: Linux, irqs: Sequence[LinuxIrq]) -> list[Pirq]:
    """Those that somebody handles, in the order of Linux's numbers; none where they cannot be told."""
    try:
        legacy = linux.array(LEGACY, 8, LEGACY_IRQS) if linux.profile.has_symbol(LEGACY) else []
    except UNREADABLE:
        legacy = [0] * LEGACY_IRQS
    links = [(irq, link) for irq in irqs if (link := irq.link(OF_XEN))]
    places = [(irq, legacy[irq.irq] if irq.irq < len(legacy) else link.data) for irq, link in links]
    chosen = [(irq, at) for irq, at in places if at]
    try:
        rows = linux.structs("irq_info", [data for _, data in chosen], "type", "u.pirq.pirq")
    except UNREADABLE:
        return []
    return [
        Pirq(irq.irq, row["u.pirq.pirq"], ", ".join(irq.actions))
        for (irq, _), row in zip(chosen, rows, strict=True)
        if row and row["type"] == BOUND_TO_PIRQ
    ]
