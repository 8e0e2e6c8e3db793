"""The remapping entry of an MSI: posted, remapped, and as old versions wrote it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim_backend.logic.pi import run_procedure
from sim_backend.logic.versions import CURRENT, VERSIONS
from sim_backend.memory.errors import SimError
from structs.irte import IRTE
from structs.msi import REMAPPABLE_ADDRESS

NIC = 0x0018
MESSAGE = 0x8000
ADDRESS, DATA = 0xFEE0_100C, 0x0000_0131
"""To APIC ID 1, logical, with a redirection hint; lowest priority, vector 0x31."""


@pytest.fixture
def msi(layout):
    """A device's first vector, and the host's message for it at MESSAGE."""
    put_message(layout)
    return layout.add_device(NIC, 2)[0]


def put_message(layout, address=ADDRESS, data=DATA, dest32=1):
    members = {"address_lo": address, "address_hi": 0, "data": data, "dest32": dest32}
    for name, value in members.items():
        layout.memory.set_u32(MESSAGE + layout.member("msi_msg", name), value)


def entry(layout, msi):
    return IRTE.parse(layout.memory.read(layout.irte(msi.unit, msi.index), 16))


def update(layout, msi, pi_desc, vector=0x61, version=CURRENT):
    return run_procedure("vmx_pi_update_irte", layout, msi.msi_desc, pi_desc, vector, MESSAGE, version=version)


def test_a_descriptor_makes_a_posted_entry(layout, msi):
    done = update(layout, msi, layout.pi_desc(1, 1))
    made = entry(layout, msi)
    assert (made.p, made.im, made.vector, made.pda) == (1, 1, 0x61, layout.pi_desc(1, 1))
    assert (made.sid, made.svt, made.sq, made.urg) == (NIC, 1, 0, 0)
    assert done.value == 0
    assert done.calls == [("iommu_flush_iec_index", msi.unit, msi.index)]


def test_no_descriptor_makes_it_the_message_again(layout, msi):
    update(layout, msi, layout.pi_desc(1, 1))
    put_message(layout)
    update(layout, msi, 0, 0)
    made = entry(layout, msi)
    assert (made.p, made.im, made.vector, made.dlm, made.dm, made.rh) == (1, 0, 0x31, 1, 1, 1)
    assert (made.dst, made.sid, made.svt) == (1 << 8, NIC, 1)


def test_only_lowest_priority_has_a_redirection_hint(layout, msi):
    put_message(layout, data=0x0031)
    update(layout, msi, 0, 0)
    assert (entry(layout, msi).dlm, entry(layout, msi).rh) == (0, 0)


def test_the_message_then_names_the_entry(layout, msi):
    update(layout, msi, layout.pi_desc(1, 0))
    read = REMAPPABLE_ADDRESS.parse(layout.memory.read(MESSAGE + layout.member("msi_msg", "address_lo"), 8))
    assert (read.format, read.shv, read.handle) == (1, 1, msi.index)
    assert layout.memory.u32(MESSAGE + layout.member("msi_msg", "data")) == 0


def test_the_entry_is_written_at_once_between_lock_and_unlock(layout, msi):
    place = layout.irte(msi.unit, msi.index)
    events = update(layout, msi, layout.pi_desc(1, 0)).events
    (written,) = [n for n, event in enumerate(events) if getattr(event, "address", None) == place]
    assert events[written].size == 16
    locks = [
        n for n, event in enumerate(events) if getattr(event, "address", 0) in (events[2].address, events[-1].address)
    ]
    assert locks[0] < written < locks[-1]
    assert events[-2] == ("iommu_flush_iec_index", msi.unit, msi.index)


def test_a_version_that_writes_halves_writes_the_low_one_first(layout, msi):
    place = layout.irte(msi.unit, msi.index)
    halves = replace(CURRENT, entry_at_once=False)
    done = update(layout, msi, layout.pi_desc(1, 1), version=halves)
    assert [(s.address - place, s.size) for s in done.stores if place <= s.address < place + 16] == [(0, 8), (8, 8)]
    assert entry(layout, msi).pda == layout.pi_desc(1, 1)


@pytest.mark.parametrize("name", ["seed", "current"])
def test_the_host_moves_a_posted_interrupt(layout, msi, name):
    """The first versions wrote the remapped format's fields over it, of which IM stayed (commit of D19)."""
    update(layout, msi, layout.pi_desc(1, 1))
    before = entry(layout, msi)
    put_message(layout)
    run_procedure("msi_msg_write_remap_rte", layout, msi.msi_desc, MESSAGE, version=VERSIONS[name])
    after = entry(layout, msi)
    if name == "current":
        assert after == before
    else:
        assert (after.im, after.p, after.vector) == (1, 1, 0x31)
        assert after.pda != before.pda


@pytest.mark.parametrize(("stride", "sq"), [(0, 0), (1, 3), (2, 2), (4, 1)])
def test_phantom_functions_widen_what_the_source_may_be(layout, msi, stride, sq):
    layout.put("pci_dev", layout.device(NIC).address, {"phantom_stride": stride})
    update(layout, msi, layout.pi_desc(1, 0))
    assert entry(layout, msi).sq == sq


def test_a_device_behind_a_bridge_is_refused_before_anything_is_written(layout, msi):
    before = entry(layout, msi)
    layout.put("pci_dev", layout.device(NIC).address, {"type": 4})
    with pytest.raises(SimError, match="validated by the bridges above it"):
        update(layout, msi, layout.pi_desc(1, 0))
    assert entry(layout, msi) == before


def index_at(layout, msi):
    return msi.msi_desc + layout.member("msi_desc", "remap_index")


def test_an_index_beyond_the_table_is_an_error_and_forgotten(layout, msi):
    layout.memory.set_u32(index_at(layout, msi), 1 << 16)
    done = update(layout, msi, layout.pi_desc(1, 0))
    assert done.value == -14
    assert layout.memory.u32(index_at(layout, msi)) == 0xFFFF_FFFF
    assert done.calls == []


def test_an_msi_without_an_entry_is_told(layout, msi):
    layout.memory.set_u32(index_at(layout, msi), 0xFFFF_FFFF)
    with pytest.raises(SimError, match="has no entry yet"):
        update(layout, msi, layout.pi_desc(1, 0))
