"""Work on slices, in several threads."""

from __future__ import annotations

import os
import signal

import pytest

from sim_backend.explore.threads import spread, undisturbed


@pytest.mark.parametrize(("end", "size"), [(0, 3), (10, 3), (9, 3), (1, 100)])
def test_each_slice_once_and_in_order(end, size):
    found = list(spread(lambda start, stop: list(range(start, stop)), 0, end, size, 3))
    assert [number for part in found for number in part] == list(range(end))


def test_an_error_in_a_thread_comes_out():
    def fail(start, stop):
        raise ValueError(start)

    with pytest.raises(ValueError, match="0"):
        list(spread(fail, 0, 10, 5, 2))


def test_ctrl_c_waits_for_what_must_not_be_left_half_done():
    done = []

    def work():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("after it")

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            undisturbed(work)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert done == ["after it"]


def test_without_ctrl_c_work_is_done_as_it_is():
    before = signal.getsignal(signal.SIGINT)
    assert undisturbed(lambda: 5) == 5
    with pytest.raises(ValueError, match="no"):
        undisturbed(lambda: int("no"))
    assert signal.getsignal(signal.SIGINT) is before
