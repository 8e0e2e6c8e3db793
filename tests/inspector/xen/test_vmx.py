"""A vCPU's posted-interrupt descriptor and list node."""

from __future__ import annotations

from inspector.xen.domains import domains
from structs.pi_desc import PI_DESC


def test_a_vcpu_has_the_descriptor_that_lies_in_it(layout, look):
    layout.memory.write(layout.pi_desc(1, 1), PI_DESC.build({"pir": 1 << 0x61, "on": 1, "nv": 0xF1, "ndst": 0x100}))
    _, vcpus, _ = domains(look())
    pi = next(vcpu.pi for vcpu in vcpus if vcpu.name == "d1v1")
    assert pi is not None
    assert (pi.address, pi.pir, pi.on, pi.sn, pi.nv, pi.ndst) == (layout.pi_desc(1, 1), (0x61,), 1, 0, 0xF1, 0x100)
    assert next(vcpu.pi for vcpu in vcpus if vcpu.name == "d0v0") is None
