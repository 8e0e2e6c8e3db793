"""Fields read and written as integers: the same bits as Construct's."""

from __future__ import annotations

import pytest
from construct import MappingError
from hypothesis import given
from hypothesis import strategies as st

from structs.bits import packed, packed_bytes, reader, reserved_mask
from structs.irte import POSTED, REMAPPED
from structs.pi_desc import PI_DESC

RECORDS = (POSTED, REMAPPED, PI_DESC)


@pytest.mark.parametrize("chosen", RECORDS)
@given(data=st.data())
def test_a_reader_reads_what_the_schema_reads(chosen, data):
    raw = data.draw(st.integers(0, (1 << 8 * chosen.size) - 1))
    for field in chosen.fields:
        assert reader(field)(raw) == field.extract(raw)


@pytest.mark.parametrize("chosen", RECORDS)
@given(data=st.data())
def test_packed_bytes_are_what_the_schema_builds(chosen, data):
    raw = data.draw(st.binary(min_size=chosen.size, max_size=chosen.size))
    values = dict(chosen.parse(raw))
    some = data.draw(st.sets(st.sampled_from(sorted(chosen.by_name))))
    assert packed_bytes(chosen, values) == raw
    part = {name: values[name] for name in some}
    assert packed_bytes(chosen, part) == chosen.build(part)


@pytest.mark.parametrize("chosen", RECORDS)
def test_reserved_bits_are_those_of_no_other_field(chosen):
    used = 0
    for field in chosen.fields:
        if not field.reserved:
            used |= field.mask
    assert used & reserved_mask(chosen) == 0
    assert used | reserved_mask(chosen) == (1 << 8 * chosen.size) - 1


def test_what_does_not_fit_is_refused():
    assert packed(POSTED, {"p": 1, "vector": 0xFF}) == POSTED["p"].mask | POSTED["vector"].insert(0, 0xFF)
    with pytest.raises(ValueError, match="vector"):
        packed(POSTED, {"vector": 0x100})


@pytest.mark.parametrize("chosen", RECORDS)
@given(data=st.data())
def test_bytes_are_built_as_the_schema_builds_them(chosen, data):
    raw = data.draw(st.binary(min_size=chosen.size, max_size=chosen.size))
    values = chosen.parse(raw)
    some = {name: values[name] for name in data.draw(st.sets(st.sampled_from(list(chosen.by_name))))}
    assert chosen.build(values) == raw
    assert chosen.build(some) == chosen.schema.build(some)


def test_what_cannot_be_built_is_refused_as_the_schema_does():
    for values, why in (({"no such": 1}, "no such"), ({"vector": 0x100}, "vector"), ({"vector": -1}, "vector")):
        with pytest.raises(MappingError, match=why):
            POSTED.build(values)
