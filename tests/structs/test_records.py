"""What holds for every schema of the package."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
from construct import MappingError, StreamError
from hypothesis import given
from hypothesis import strategies as st

import structs
from structs.bits import BitRecord, Tagged, packed


@given(data=st.data())
def test_build_inverts_parse(schema: BitRecord | Tagged, data: st.DataObject) -> None:
    raw = data.draw(st.binary(min_size=schema.size, max_size=schema.size))
    assert schema.build(schema.parse(raw)) == raw


@given(data=st.data())
def test_parse_is_mask_and_shift(record: BitRecord, data: st.DataObject) -> None:
    raw = data.draw(st.binary(min_size=record.size, max_size=record.size))
    whole = int.from_bytes(raw, "little")
    values = {f.name: f.extract(whole) for f in record.fields}
    assert dict(record.parse(raw)) == values == record.values(whole)
    assert packed(record, values) == whole


def test_every_bit_belongs_to_one_field(record: BitRecord) -> None:
    assert sum(f.mask for f in record.fields) == (1 << record.size * 8) - 1
    assert sum(f.mask.bit_count() for f in record.fields) == record.size * 8


def test_every_field_is_explained(record: BitRecord) -> None:
    assert record.source
    assert all(f.help and f.name == f.name.lower() for f in record.fields)
    assert all(key < 1 << f.width for f in record.fields for key in f.meanings)


def test_bad_input_is_refused(record: BitRecord) -> None:
    with pytest.raises(StreamError):
        record.parse(bytes(record.size - 1))
    with pytest.raises(MappingError):
        record.build({"no_such_field": 1})
    with pytest.raises(MappingError):
        record.build({record.fields[0].name: 1 << record.fields[0].width})
    with pytest.raises(KeyError):
        packed(record, {"no_such_field": 1})
    with pytest.raises(ValueError, match="holds bits"):
        packed(record, {record.fields[0].name: 1 << record.fields[0].width})


def test_tagged_selects_by_its_tag(tagged: Tagged) -> None:
    for tag, record in tagged.cases.items():
        raw = tagged.build({tagged.tag: tag})
        assert tagged.record_of(raw) is record
        assert tagged.parse(raw)[tagged.tag] == tag
        assert tagged.values(int.from_bytes(raw, "little")) == dict(tagged.parse(raw))


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(structs.__path__) if not m.ispkg])
def test_examples_in_the_documentation(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"structs.{module}")).failed == 0
