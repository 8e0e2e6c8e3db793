"""A snapshot as a target: it has no memory, and says so."""

from __future__ import annotations

import pytest

from inspector.base.errors import NotHere, NotReadable
from inspector.model.snapshot import Snapshot
from inspector.targets.recorded.recorded import RecordedTarget


@pytest.fixture
def target():
    return RecordedTarget("log here", Snapshot("a machine"), "here")


def test_no_byte_can_be_read_of_it(target):
    with pytest.raises(NotReadable, match="log here holds no memory") as error:
        target.read(0x1000, 8)
    assert (error.value.address, error.value.size) == (0x1000, 8)
    assert target.read_parts([(0, 1), (8, 8)]) == [None, None]
    with pytest.raises(NotHere):
        target.ioapics()


def test_the_file_that_it_is_of_is_never_written_over(target):
    assert list(target.files) == ["here"]
    assert list(RecordedTarget("stdin", Snapshot("a machine")).files) == []


def test_leaving_it_twice_is_leaving_it(target):
    with target:
        pass
    target.close()
    assert target.snapshot == Snapshot("a machine")
