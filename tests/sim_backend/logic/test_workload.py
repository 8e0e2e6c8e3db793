"""How often things happen of themselves."""

from __future__ import annotations

import pytest

from sim_backend.logic.workload import OUT_OF, Workload
from sim_backend.memory.errors import SimError


def test_busy_is_whoever_has_a_rate():
    assert not Workload().busy
    assert all(Workload(**{name: 1}).busy for name in Workload().rates())


def test_of_the_outside_is_what_no_guest_and_no_device_does():
    load = Workload(halt=5, post=3, timer=10, event=20)
    assert (load.outside, load.outside_total) == ((("timer", 10), ("event", 20)), 30)


@pytest.mark.parametrize(
    "rates",
    [{"halt": -1}, {"post": OUT_OF + 1}, {"halt": 1000, "ipi": 25}, {"timer": 1000, "event": 25}],
)
def test_what_cannot_be(rates):
    with pytest.raises(SimError, match="workload"):
        Workload(**rates)
