"""Posted-interrupt descriptors out of memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.kernels.descriptors import decode_descriptors, read_descriptors
from structs.pi_desc import PI_DESC, vectors


@given(st.binary(min_size=64, max_size=64))
def test_a_descriptor_keeps_every_bit(raw):
    (found,) = decode_descriptors([(0x40, raw)])
    parsed = PI_DESC.parse(raw)
    assert (found.on, found.sn, found.nv, found.ndst) == tuple(parsed[name] for name in ("on", "sn", "nv", "ndst"))
    assert found.pir == tuple(vectors(parsed["pir"]))
    values = {"pir": parsed["pir"], "on": found.on, "sn": found.sn, "nv": found.nv, "ndst": found.ndst}
    assert int.from_bytes(PI_DESC.build(values), "little") | found.reserved == int.from_bytes(raw, "little")


def test_one_that_is_not_in_memory_is_left_out(layout, look):
    assert [pi.address for pi in read_descriptors(look().memory.target, [1 << 51, layout.pi_desc(1, 0)])] == [
        layout.pi_desc(1, 0)
    ]
