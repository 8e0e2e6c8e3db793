"""Xen as what owns a machine's interrupts."""

from __future__ import annotations

from dataclasses import replace

from inspector.xen.host import XenHost
from structs.xen.profile import Profile


def without(xen, *symbols: str):
    """The same Xen, of which some symbols are not known."""
    document = xen.profile.document
    known = {name: value for name, value in document["symbols"].items() if name not in symbols}
    return replace(xen, profile=Profile({**document, "symbols": known}))


def test_what_is_not_known_of_its_switches_is_told_and_the_rest_is_there(look):
    absent = []
    switches = XenHost(without(look(), "iommu_intpost", "pi_wakeup_vector")).switches(absent)
    assert switches.intpost is None
    assert switches.pi_wakeup_vector is None
    assert switches.intremap is True
    assert [(each.subject, each.member) for each in absent] == [
        ("iommu_intpost", "intpost"),
        ("pi_wakeup_vector", "pi_wakeup_vector"),
    ]


def test_each_part_of_the_machine_stands_without_the_others(look):
    absent = []
    machine = XenHost(without(look(), "per_cpu__vmx_pi_blocking")).machine(absent)
    assert machine.lists == ()
    assert len(machine.vcpus) == 4
    assert [each.member for each in absent] == ["lists"]
