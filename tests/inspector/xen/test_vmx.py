"""A vCPU's posted-interrupt descriptor and list node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.xen.domains import domains
from inspector.xen.vmx import decode_descriptors, read_descriptors
from structs.pi_desc import PI_DESC, vectors


def test_a_vcpu_has_the_descriptor_that_lies_in_it(layout, look):
    layout.memory.write(layout.pi_desc(1, 1), PI_DESC.build({"pir": 1 << 0x61, "on": 1, "nv": 0xF1, "ndst": 0x100}))
    _, vcpus, _ = domains(look())
    pi = next(vcpu.pi for vcpu in vcpus if vcpu.name == "d1v1")
    assert pi is not None
    assert (pi.address, pi.pir, pi.on, pi.sn, pi.nv, pi.ndst) == (layout.pi_desc(1, 1), (0x61,), 1, 0, 0xF1, 0x100)
    assert next(vcpu.pi for vcpu in vcpus if vcpu.name == "d0v0") is None


@given(st.binary(min_size=64, max_size=64))
def test_a_descriptor_keeps_every_bit(raw):
    (found,) = decode_descriptors([(0x40, raw)])
    parsed = PI_DESC.parse(raw)
    assert (found.on, found.sn, found.nv, found.ndst) == tuple(parsed[name] for name in ("on", "sn", "nv", "ndst"))
    assert found.pir == tuple(vectors(parsed["pir"]))
    values = {"pir": parsed["pir"], "on": found.on, "sn": found.sn, "nv": found.nv, "ndst": found.ndst}
    assert int.from_bytes(PI_DESC.build(values), "little") | found.reserved == int.from_bytes(raw, "little")


def test_one_that_is_not_in_memory_is_left_out(layout, look):
    assert [pi.address for pi in read_descriptors(look(), [1 << 51, layout.pi_desc(1, 0)])] == [layout.pi_desc(1, 0)]
