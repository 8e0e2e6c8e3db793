"""Fields read and written fast: the same bits as Construct's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.memory.packing import packed, reader, reserved_mask
from structs.irte import POSTED, REMAPPED
from structs.pi_desc import PI_DESC

RECORDS = (POSTED, REMAPPED, PI_DESC)


@pytest.mark.parametrize("record", RECORDS)
@given(data=st.data())
def test_a_reader_reads_what_the_schema_reads(record, data):
    raw = data.draw(st.integers(0, (1 << 8 * record.size) - 1))
    for field in record.fields:
        assert reader(field)(raw) == field.extract(raw)


@pytest.mark.parametrize("record", RECORDS)
def test_reserved_bits_are_those_of_no_other_field(record):
    used = 0
    for field in record.fields:
        if not field.reserved:
            used |= field.mask
    assert used & reserved_mask(record) == 0
    assert used | reserved_mask(record) == (1 << 8 * record.size) - 1


def test_what_does_not_fit_is_refused():
    assert packed(POSTED, {"p": 1, "vector": 0xFF}) == POSTED["p"].mask | POSTED["vector"].insert(0, 0xFF)
    with pytest.raises(ValueError, match="vector"):
        packed(POSTED, {"vector": 0x100})
