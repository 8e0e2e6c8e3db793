"""The trees of pirqs, as the inspector reads them."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Binding
from inspector.targets.sim.simulation import Simulation
from inspector.xen.irqs import bindings, pirqs
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.machine.machine import Machine
from sim_backend.machine.registers import Still
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load

NIC, DISK, LATER = 0x0018, 0x0308, 0x0028
DOMAINS = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 4), DomainConfig(5, 1))


def read(layout, domain):
    """A domain's pirqs and bindings, as the inspector finds them."""
    xen, address = Inspection(Simulation(Still(layout))).xen, layout.virtual(layout.domain(domain))
    return pirqs(xen, address), bindings(xen, address)


# With the 24 pins: one leaf just full, one more than that, two levels, three.
@pytest.mark.parametrize("irqs", [40, 41, 232, 5000])
def test_a_device_takes_its_pirqs_along(irqs):
    devices = (DeviceConfig(NIC, 3, domain=1), DeviceConfig(DISK, irqs - 5, domain=5))
    layout = Layout(LayoutConfig(domains=DOMAINS, devices=devices, irqs=irqs))
    by_device = {bdf: [layout.virtual(msi.pirq) for msi in layout.device(bdf).msis] for bdf in (NIC, DISK)}
    assert read(layout, 1) == (by_device[NIC], ())
    assert read(layout, 5) == (by_device[DISK], ())
    other = layout.copy()
    other.give_device(NIC, 5)
    other.add_device(LATER, 2)
    other.give_device(LATER, 1)
    restored = Layout.restored(other.profile, other.config, other.state(), other.memory)
    for machine in (other, restored):
        assert read(machine, 5)[0] == by_device[NIC] + by_device[DISK]
        assert read(machine, 1)[0] == [machine.virtual(msi.pirq) for msi in machine.device(LATER).msis]
    with pytest.raises(SimError, match="there is no domain 9"):
        other.give_device(NIC, 9)
    assert read(other, 5)[0] == by_device[NIC] + by_device[DISK]
    other.give_device(NIC, 0)
    assert read(other, 5)[0] == by_device[DISK]
    assert read(layout, 1)[0] == by_device[NIC]


def test_a_domains_tree_goes_with_it():
    layout = Layout(LayoutConfig(domains=DOMAINS, devices=(DeviceConfig(NIC, 3, domain=1),)))
    layout.destroy_domain(1)
    layout.create_domain(1, 4)
    assert read(layout, 1) == ([], ())


def test_a_build_that_does_not_describe_them_does_without():
    layout = Layout(LayoutConfig("4.17", domains=DOMAINS, devices=(DeviceConfig(NIC, 3, domain=1),)))
    layout.post_msi(layout.device(NIC).msis[0], 1, 0, 0x61)
    assert read(layout, 1)[1] is None


def test_what_the_guest_asks_for_is_noted():
    machine = Machine(load("one-device"))
    msi, _ = machine.layout.device(NIC).msis

    def binding():
        return next(found for found in read(machine.layout, 1)[1] if found.irq == msi.irq)

    vector = binding().gvec
    machine.broadcast(NIC, 0)
    machine.run(200)
    assert binding() == Binding(msi.irq, vector, -1, False)
    machine.retarget(NIC, 0, "d1v1")
    machine.run(200)
    assert binding() == Binding(msi.irq, vector, 1, True)
    machine.deassign(NIC)
    machine.run(400)
    assert read(machine.layout, 1) == ([], ())
