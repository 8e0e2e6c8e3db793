"""What a kernel is to all that is above: Xen's answers, through the interface."""

from __future__ import annotations

from inspector.kernels.host import Host
from inspector.xen.host import XenHost


def test_xen_answers_all_that_a_snapshot_is_made_of(look):
    xen = look()
    host: Host = XenHost(xen)
    absent: list[object] = []
    assert (host.name, host.build(absent).build_id, host.kernel(absent)) == ("Xen", xen.profile.build_id, None)
    machine = host.machine(absent)
    assert [domain.domain for domain in machine.domains] == [0, 1]
    assert {vcpu.name for vcpu in machine.vcpus} == {"d0v0", "d1v0", "d1v1", "d1v2"}
    assert len(machine.lists) == len(machine.cpus) == 2
    units, trouble = host.units()
    assert trouble == []
    assert units[0].entries == 1 << 16
    assert host.switches(absent).x2apic in (True, False)
    assert [msi.irq for msi in host.msis()] == sorted({msi.irq for msi in host.msis()})
    assert absent == []
