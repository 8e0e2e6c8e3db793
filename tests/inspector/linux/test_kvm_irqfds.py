"""The irqfds of VMs."""

from __future__ import annotations

import pytest

from inspector.model.kvm import Irqfd
from tests.inspector.linux.kvm_states import VM, a_layout, seen


def irqfds(layout):
    return next(domain.irqfds for domain in seen(layout).domains if domain.domain == VM)


@pytest.mark.parametrize(
    ("low", "data", "vector", "vcpu", "postable"),
    [
        (0xFEE00000, 0x41, 0x41, 0, True),
        (0xFEE02000, 0x41, 0x41, 2, True),
        (0xFEE02000, 0x141, 0x41, 2, True),
        (0xFEE02000, 0x441, 0x41, 2, False),
        (0xFEE09000, 0x41, 0x41, None, False),
        (0xFEEFF000, 0x41, 0x41, None, False),
        (0xFEE01004, 0x41, 0x41, None, False),
    ],
)
def test_what_a_guests_message_says(low, data, vector, vcpu, postable):
    layout = a_layout()
    message = {"irq_entry.type": 2, "irq_entry.msi.address_lo": low, "irq_entry.msi.data": data}
    layout.put("kvm_kernel_irqfd", layout.device(0x300).msis[1].pirq, message)
    assert irqfds(layout)[1] == Irqfd(49, 25, postable, vector, vcpu)


def test_one_that_is_no_msi_and_one_without_a_producer():
    layout = a_layout()
    layout.put("kvm_kernel_irqfd", layout.device(0x300).msis[0].pirq, {"producer": 0})
    assert irqfds(layout) == (Irqfd(48), Irqfd(49, 25))


def test_a_list_that_ends_early():
    layout = a_layout()
    second = layout.device(0x300).msis[1].pirq + layout.member("kvm_kernel_irqfd", "list")
    layout.memory.set_u64(second, 0xFFFF900000000000)
    snapshot = seen(layout)
    assert len(irqfds(layout)) >= 1
    assert any("vm1234: its irqfds" in line for line in snapshot.problems)
