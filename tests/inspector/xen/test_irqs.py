"""Irqs from memory: the simulated machine's, whose irq_desc[] is laid out as Xen's."""

from __future__ import annotations

import copy

import pytest

from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Binding
from inspector.targets.options import SimOptions
from inspector.targets.sim.simulation import Simulation, simulated
from inspector.xen.domains import domains
from inspector.xen.find import find
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.machine.registers import Still
from structs.xen.named import bundled, matching
from structs.xen.profile import Profile


def test_the_irqs_of_a_simulated_machine_are_those_of_its_msis() -> None:
    with simulated(SimOptions()) as target:
        snapshot = Inspection(target).snapshot
    by_number = {irq.irq: irq for irq in snapshot.irqs}
    assert snapshot.msis
    for msi in snapshot.msis:
        assert by_number[msi.irq].vector == msi.vector
    assert snapshot.problems == ()


@pytest.fixture
def newer() -> Profile:
    """4.20 with the guest's own `addr` and `data` in place of `gvec` and `gflags`: `struct hvm_gmsi_info` has grown."""
    document = copy.deepcopy(dict(matching("4.20", bundled())[0].document))
    document["base_types"] |= {"u64": document["base_types"]["unsigned long"], "u32": document["base_types"]["int"]}
    types = document["user_types"]
    places = {"addr": (0, "u64"), "data": (8, "u32"), "dest_vcpu_id": (12, "u32"), "posted": (16, "_Bool")}
    fields = {name: {"offset": at, "type": {"kind": "base", "name": kind}} for name, (at, kind) in places.items()}
    types["hvm_gmsi_info"] = {"kind": "struct", "size": 24, "fields": fields}
    types["hvm_pirq_dpci"]["fields"]["softirq_list"]["offset"] += 8
    for struct in ("hvm_pirq_dpci", "hvm_pirq", "pirq"):
        types[struct]["size"] += 8
    return Profile(document)


def test_either_form_of_a_guest_msi_tells_its_vector(newer):
    guests = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 2))
    layout = Layout(LayoutConfig(domains=guests, devices=(DeviceConfig(0x18, 2, 1),)), newer)
    first, second = layout.device(0x18).msis
    layout.post_msi(first, 1, 0, 0x61)
    layout.post_msi(second, 1, 1, 0x62)
    # Of the guest's data, bits 7:0 are the vector: 15 and 14 say level and asserted, 10:8 how it is delivered.
    layout.put("pirq", second.pirq, {"arch.hvm.dpci.gmsi.data": 0xC162, "arch.hvm.dpci.gmsi.addr": 0xFEE01000})
    xen = find(Simulation(Still(layout)), [newer])
    assert xen
    found, _, absent = domains(xen)
    assert absent == []
    assert found[1].bindings == (Binding(first.irq, 0x61, 0, True), Binding(second.irq, 0x62, 1, True))
