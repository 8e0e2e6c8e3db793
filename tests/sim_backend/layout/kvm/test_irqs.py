"""MSIs of devices that vfio has."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from sim_backend.layout.kvm.layout import DeviceConfig, DomainConfig, KvmLayout, LayoutConfig
from sim_backend.memory.errors import SimError
from structs.irte import POSTED
from tests.inspector.linux.laid import Laid


@pytest.mark.parametrize("count", [1, 13, 14, 15, 16, 29, 120])
def test_linuxs_tree_has_each_irq(count):
    config = LayoutConfig(profile="6.12", domains=(DomainConfig(5, 1),), devices=(DeviceConfig(0x300, count, 5),))
    layout = KvmLayout(config)
    snapshot = Inspection(Laid(layout)).snapshot
    irqs = {msi.irq for msi in layout.device(0x300).msis}
    assert {irq.irq for irq in snapshot.irqs} == irqs
    assert {msi.irq for msi in snapshot.msis} == irqs
    assert {(msi.irq, msi.index, msi.vector) for msi in layout.device(0x300).msis} == {
        (irq.irq, msi.index, irq.vector) for irq in snapshot.irqs for msi in snapshot.msis if msi.irq == irq.irq
    }


def test_a_posted_entry_and_back(layout):
    msi = layout.device(0x300).msis[1]
    before = layout.memory.read(layout.irte(0, msi.index), 16)
    layout.post_msi(msi, 1234, 1, 0x51)
    entry = POSTED.parse(layout.memory.read(layout.irte(0, msi.index), 16))
    assert (entry.im, entry.vector, entry.pda, entry.sid) == (1, 0x51, layout.pi_desc(1234, 1), 0x300)
    assert layout.get("intel_ir_data", msi.msi_desc, "irq_2_iommu.posted_vcpu") == 1
    layout.unpost_msi(msi)
    assert layout.memory.read(layout.irte(0, msi.index), 16) == before
    assert layout.get("intel_ir_data", msi.msi_desc, "irq_2_iommu.posted_vcpu") == 0


def test_devices_that_cannot_be(layout):
    with pytest.raises(SimError, match=r"already is a device 03:00\.0"):
        layout.add_device(0x300, 1)
    with pytest.raises(SimError, match=r"no device 05:00\.0"):
        layout.device(0x500)
