"""The irqs of a Linux that a Xen raises for it."""

from __future__ import annotations

import struct

from inspector.linux.irq_chain import irqs
from inspector.linux.pirqs import pirqs
from inspector.model.snapshot import Pirq
from tests.inspector.linux.conftest import found


def test_devices_and_isa_irqs_by_xens_numbers(made, interrupts):
    info = made.put("irq_info", type=1, evtchn=7, u__pirq__pirq=207)
    legacy = made.put("irq_info", type=1, evtchn=3, u__pirq__pirq=8)
    made.variable("legacy_info_ptrs", struct.pack("<16Q", *(legacy if irq == 8 else 0 for irq in range(16))))
    interrupts.irq(33, {"action": interrupts.action("eth0-rx-0")}, ("xen-pirq", info))
    interrupts.irq(8, {"action": interrupts.action("rtc0")}, ("xen-pirq", 1 << 46))
    interrupts.irq(9, {}, ("xen-pirq", 1 << 46))
    interrupts.irq(40, {}, ("xen-pirq", made.put("irq_info", type=2, u__pirq__pirq=5)))
    interrupts.tree()
    linux, _ = found(made)
    assert pirqs(linux, irqs(linux, [])) == [Pirq(8, 8, "rtc0"), Pirq(33, 207, "eth0-rx-0")]


def test_without_an_array_of_isa_irqs_the_others_are_told(made, interrupts):
    info = made.put("irq_info", type=1, u__pirq__pirq=207)
    interrupts.irq(33, {"action": interrupts.action("eth0")}, ("xen-pirq", info))
    interrupts.tree()
    linux, _ = found(made)
    assert pirqs(linux, irqs(linux, [])) == [Pirq(33, 207, "eth0")]
