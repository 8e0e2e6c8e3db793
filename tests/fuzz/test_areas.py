"""Some cases of each area in every test run, and every case that ever failed."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.areas import AREAS
from tests.fuzz.harness import SAID, changed, damaged, run

KEPT = (
    # A line of MI that pygdbmi reads past its end, for ever.
    "mi/1/3141",
    "mi/11/26385",
    # Memory of more bytes than any machine has.
    "machine/12/98",
    # Its Xen loads a vCPU on a CPU that has no per-CPU area.
    "machine/12/709",
    "history/12/15234",
    # A member of no size, which is no field.
    "profile/1/39",
    "snapshot/1/50",
    "console-log/1/0",
    "qmp/1/3468",
    # A step of a thread whose number is none ended `sim --serve`.
    "served-packet/3/159",
)
CASES, SECONDS = 40, 20


@pytest.mark.parametrize("area", AREAS)
def test_some_cases(area):
    result = run(area, AREAS[area], 7, CASES, SECONDS)
    assert result.cases
    assert not result.failures


@pytest.mark.parametrize("seed", KEPT)
def test_what_failed_once(seed):
    result = run(seed, lambda luck: AREAS[seed.partition("/")[0]](random.Random(seed)), 0, 1, SECONDS)
    assert not result.failures


def test_the_harness_notices():
    def broken(luck: random.Random) -> None:
        raise KeyError("nobody foresaw")

    def said(luck: random.Random) -> None:
        raise SAID[0]("two\nlines")

    assert "KeyError" in next(iter(run("broken", broken, 1, 1, 1).failures))
    assert "not one line" in run("said", said, 1, 1, 1).failures
    luck = random.Random(1)
    assert len({damaged(b"x" * 100, luck) for _ in range(50)}) > 20
    assert any(changed({"a": [1, {"b": 2}]}, luck) != {"a": [1, {"b": 2}]} for _ in range(50))
