from __future__ import annotations

import itertools
import mmap
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structs.bits import BitRecord, field
from structs.columns import columns, records, rows
from structs.irte import POSTED, REMAPPED
from structs.pi_desc import PI_DESC


@settings(max_examples=15)
@given(data=st.data())
def test_equal_to_the_schema(record: BitRecord, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 5))
    raw = data.draw(st.binary(min_size=count * record.size, max_size=count * record.size))
    wanted = [dict(record.parse(raw[i : i + record.size])) for i in range(0, len(raw), record.size)]
    assert rows(columns(record, raw)) == wanted


@st.composite
def layouts(draw: st.DrawFn) -> BitRecord:
    """Any record: any size, fields of any width anywhere, in one piece or two, with implied low bits or none."""
    size = draw(st.integers(1, 48))
    cuts = sorted(draw(st.sets(st.integers(0, size * 8), max_size=12)))
    pieces = [(high - 1, low) for low, high in itertools.pairwise(cuts)]
    fields = []
    while pieces:
        high, low = pieces.pop(draw(st.integers(0, len(pieces) - 1)))
        at = draw(st.integers(0, 70))
        where = [(high, low, at)]
        if pieces and draw(st.booleans()):
            second = pieces.pop()
            where.append((*second, at + high - low + 1 + draw(st.integers(0, 3))))
        fields.append(field(f"f{len(fields)}", *where))
    return BitRecord("any", size, *fields)


@given(layouts(), st.data())
def test_equal_to_any_schema(layout: BitRecord, data: st.DataObject) -> None:
    raw = data.draw(st.binary(min_size=layout.size * 3, max_size=layout.size * 3))
    whole = [int.from_bytes(raw[i : i + layout.size], "little") for i in range(0, len(raw), layout.size)]
    assert rows(columns(layout, raw)) == [{f.name: f.extract(value) for f in layout.fields} for value in whole]


def test_types_and_shapes() -> None:
    posted = columns(POSTED, bytes(32))
    assert {name: str(column.dtype.str) for name, column in posted.items()} == {
        "p": "|u1", "fpd": "|u1", "rsvd_7_2": "|u1", "avail": "|u1", "rsvd_13_12": "|u1", "urg": "|u1", "im": "|u1",
        "vector": "|u1", "rsvd_37_24": "<u2", "pda": "<u8", "sid": "<u2", "sq": "|u1",
        "svt": "|u1", "rsvd_95_84": "<u2",
    }  # fmt: skip
    assert all(column.shape == (2,) for column in posted.values())
    wide = columns(PI_DESC, bytes(128), ["pir", "rsvd_511_320", "ndst"])
    assert [(column.shape, column.dtype.str) for column in wide.values()] == [
        ((2, 4), "<u8"), ((2, 3), "<u8"), ((2,), "<u4"),
    ]  # fmt: skip


def test_words_of_a_wide_field_by_hand() -> None:
    raw = PI_DESC.build({"pir": 1 << 3 | 1 << 64 | 1 << 255})
    assert columns(PI_DESC, raw, ["pir"])["pir"].tolist() == [[8, 1, 0, 1 << 63]]


def test_names_choose_and_order() -> None:
    assert list(columns(REMAPPED, bytes(16), ["sid", "p"])) == ["sid", "p"]
    with pytest.raises(KeyError):
        columns(REMAPPED, bytes(16), ["pda"])


def test_selecting_records() -> None:
    table = bytearray(16 * 100)
    table[16 * 7] = table[16 * 93] = 1
    raw = records(REMAPPED, table)
    present = columns(REMAPPED, raw, ["p"])["p"] == 1
    assert present.nonzero()[0].tolist() == [7, 93]
    assert rows(columns(REMAPPED, raw[present], ["p"])) == [{"p": 1}, {"p": 1}]
    assert rows(columns(REMAPPED, raw[~present][:0])) == []


def test_any_buffer() -> None:
    raw = REMAPPED.build({"p": 1, "vector": 0x51}) * 2
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            kinds = (raw, bytearray(raw), memoryview(raw), np.frombuffer(raw, "<u8"), mapped)
            columns_of_each = [columns(REMAPPED, buffer, ["vector"])["vector"] for buffer in kinds]
    # The mapping is closed: a column that shared its memory would have made that fail.
    assert [column.tolist() for column in columns_of_each] == [[0x51, 0x51]] * 5


def test_columns_do_not_change_with_the_buffer() -> None:
    buffer = bytearray(REMAPPED.build({"vector": 0x51}))
    vector = columns(REMAPPED, buffer, ["vector"])["vector"]
    buffer[2] = 0
    assert vector.tolist() == [0x51]


@pytest.mark.parametrize("size", [1, 15, 17])
def test_part_of_a_record_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes are not a whole number of 16-byte remapped records"):
        columns(REMAPPED, bytes(size))


def test_gaps_in_the_buffer_are_refused() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        columns(REMAPPED, np.zeros((4, 32), np.uint8)[:, ::2])
    with pytest.raises(ValueError, match="contiguous"):
        columns(REMAPPED, memoryview(bytes(64))[::2])
