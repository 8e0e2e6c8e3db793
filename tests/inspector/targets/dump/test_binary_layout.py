"""Binary layouts read what `struct` packs."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.dump.binary_layout import layout

KINDS = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i4": "i", "i8": "q"}


@given(st.data())
def test_packed_little_endian_in_order(data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8))
    record = layout(" ".join(f"m{number}:{kind}" for number, kind in enumerate(kinds)))
    format = "<" + "".join(KINDS[kind] for kind in kinds)
    assert record.itemsize == struct.calcsize(format)
    raw = data.draw(st.binary(min_size=record.itemsize, max_size=record.itemsize))
    row = np.frombuffer(raw, record)[0]
    assert tuple(row[name].item() for name in record.names) == struct.unpack(format, raw)


def test_bytes_and_the_names():
    record = layout("magic:S4  entry:u8\n phnum:u2")
    assert record.names == ("magic", "entry", "phnum")
    assert [record.fields[name][1] for name in record.names] == [0, 4, 12]
    assert np.frombuffer(b"\x7fELF" + bytes(10), record)["magic"][0] == b"\x7fELF"


@pytest.mark.parametrize("words", ["magic", "a:u8:b", "a:u3", "a:u8 a:u4"])
def test_what_is_no_layout(words):
    with pytest.raises((TypeError, ValueError)):
        layout(words)
