"""Work on slices, in several threads."""

from __future__ import annotations

import pytest

from sim_backend.explore.threads import spread


@pytest.mark.parametrize(("end", "size"), [(0, 3), (10, 3), (9, 3), (1, 100)])
def test_each_slice_once_and_in_order(end, size):
    found = list(spread(lambda start, stop: list(range(start, stop)), 0, end, size, 3))
    assert [number for part in found for number in part] == list(range(end))


def test_an_error_in_a_thread_comes_out():
    def fail(start, stop):
        raise ValueError(start)

    with pytest.raises(ValueError, match="0"):
        list(spread(fail, 0, 10, 5, 2))
