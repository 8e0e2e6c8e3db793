"""Devices and their MSIs."""

from __future__ import annotations

import json

import pytest

from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE
from structs.irte import IRTE
from structs.msi import index

from .builds import DISK, NIC


def test_a_device_sends_the_message_that_selects_its_entry(layout):
    for msi in layout.device(NIC).msis:
        assert index(msi.address, msi.data) == msi.index
        assert layout.get("msi_desc", msi.msi_desc, "remap_index") == msi.index
        assert layout.get("msi_desc", msi.msi_desc, "irq") == msi.irq
        device = layout.physical(layout.get("msi_desc", msi.msi_desc, "dev"))
        assert layout.get("pci_dev", device, "sbdf.sbdf") == NIC
        assert layout.get("pci_dev", device, "domain") == layout.virtual(layout.domain(1))


def test_devices_come_and_go(layout):
    gone = layout.device(NIC).msis[1]
    layout.remove_device(NIC)
    assert layout.memory.read(layout.irte(0, gone.index), 16) == bytes(16)
    head = layout.domain(1) + layout.member("domain", "pdev_list")
    assert layout.list_nodes(head) == []
    again = layout.add_device(0x0020, 2)
    assert [msi.index for msi in again] == [24, 25]
    layout.give_device(0x0020, 5)
    assert len(layout.list_nodes(layout.domain(5) + layout.member("domain", "pdev_list"))) == 1
    with pytest.raises(SimError, match=r"no device 00:03\.0"):
        layout.device(NIC)


def test_a_posted_entry_points_into_the_vcpu(layout):
    msi = layout.device(NIC).msis[0]
    layout.post_msi(msi, 1, 3, 0x61)
    entry = IRTE.parse(layout.memory.read(layout.irte(0, msi.index), 16))
    assert (entry["im"], entry["vector"], entry["pda"] & -PAGE) == (1, 0x61, layout.vcpu(1, 3))
    assert layout.physical(layout.get("msi_desc", msi.msi_desc, "pi_desc")) == entry["pda"]


def test_a_full_table_takes_no_more():
    layout = Layout(LayoutConfig(irqs=70000))
    layout.memory.write(layout.irte(0, 24), b"\1" * (65536 - 25) * 16)
    assert layout.add_device(NIC, 1)[0].index == 65535
    with pytest.raises(SimError, match="no 1 free"):
        layout.add_device(DISK, 1)


def test_a_device_that_does_not_fit_changes_nothing(layout):
    digest, state = layout.memory.digest(), json.dumps(layout.state())
    for vectors in (1000, 70000):
        with pytest.raises(SimError, match="irqs"):
            layout.add_device(0x0400, vectors)
    with pytest.raises(SimError, match="already"):
        layout.add_device(NIC, 1)
    assert layout.memory.digest() == digest
    assert json.dumps(layout.state()) == state
