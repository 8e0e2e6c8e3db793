"""The two interrupts."""

from __future__ import annotations

from sim_backend.logic.pi import VCPU_KICK_SOFTIRQ, run_procedure

from .alone import W, descriptor, set_descriptor, waiting


def test_the_wakeup_interrupt_takes_those_with_on(layout):
    for vcpu in (0, 1, 2):
        layout.put("vcpu", layout.vcpu(1, vcpu), {"processor": 0, "pause_flags": 1})
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, vcpu))
        set_descriptor(layout, vcpu, on=int(vcpu != 1), pir=1 << 0x31)
    done = run_procedure("pi_wakeup_interrupt", layout)
    woken = [("vcpu_wake", layout.vcpu(1, 0), 0), ("vcpu_wake", layout.vcpu(1, 2), 0)]
    assert done.calls == [("ack_APIC_irq", 0, 0), *woken]
    assert waiting(layout) == [1]
    after = descriptor(layout, 2)
    assert (after["nv"], after["on"], after["pir"]) == (W, 1, 1 << 0x31), "left to the VM entry"


def test_a_wakeup_interrupt_that_finds_nobody_changes_nothing(layout):
    run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    done = run_procedure("pi_wakeup_interrupt", layout)
    assert [call[0] for call in done.calls] == ["ack_APIC_irq"]
    assert waiting(layout) == [0]


def test_a_notification_interrupt_has_the_cpu_look_again(layout):
    done = run_procedure("pi_notification_interrupt", layout, cpu=1)
    assert done.calls == [("ack_APIC_irq", 1, 0), ("raise_softirq", 1, VCPU_KICK_SOFTIRQ)]
