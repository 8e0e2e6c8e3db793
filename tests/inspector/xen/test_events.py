"""Events that wait for vCPUs."""

from __future__ import annotations

from inspector.capture.inspection import Inspection
from inspector.targets.options import SimOptions
from inspector.targets.sim.simulation import simulated
from inspector.xen.events import PATHS, with_events


def test_what_the_shared_page_says_of_a_paravirtualised_vcpu() -> None:
    with simulated(SimOptions()) as target:
        inspection = Inspection(target)
        xen, vcpus = inspection.xen, inspection.snapshot.vcpus
        assert xen
        host = next(vcpu for vcpu in vcpus if not vcpu.hvm)
        path = next(path for path in PATHS if xen.profile.has("vcpu", path))
        told = {vcpu.name: vcpu for vcpu in with_events(xen, vcpus)}
        (pointer,) = [row[path] for row in xen.structs("vcpu", [host.address], path) if row]
        known = bool(pointer)
        assert (told[host.name].event_pending is not None) == known
        assert all(vcpu.event_pending is None for vcpu in told.values() if vcpu.hvm)
