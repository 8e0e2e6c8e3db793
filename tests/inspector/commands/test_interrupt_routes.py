"""Routes from an irq, a vector, a pirq, a device of a segment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOGS = Path(__file__).parents[2] / "data" / "field" / "logs"
LOG = LOGS / "p_crlf.log"
Run = Callable[..., Any]


@pytest.mark.parametrize("words", [("irq", "25"), ("vector", "0x62"), ("d1:87",)])
def test_one_interrupt_from_any_end(run: Run, words: tuple[str, ...]) -> None:
    told = run("dump", LOG, "route", *words)
    assert told.status == 0
    for expected in ("device 03:00.0", "25 PCI-MSI", "0:0x18", "d1 as pirq 87", "vector 0x62"):
        assert expected in told.out
    (found,) = run("dump", LOG, "route", *words, "--json").json["routes"]
    assert (found["irq"]["irq"], found["unit"], found["index"]) == (25, 0, 0x18)
    assert (found["entry"]["vector"], found["source"]["bdf"]) == (0x62, "03:00.0")


def test_a_device_with_its_segment_and_its_irq(run: Run) -> None:
    told = run("dump", LOG, "route", "0000:03:00.0")
    assert "unit 0 entry 0x18" in told.out
    assert "irq          25 PCI-MSI" in told.out
    first, second = run("dump", LOG, "route", "03:00.0", "--json").json["routes"]
    assert (first["irq"]["irq"], second["irq"]) == (25, None)


def test_a_device_that_only_its_owner_is_known_of(run: Run) -> None:
    (log,) = LOGS.glob("c20*")
    told = run("dump", log, "route", "03:00.0")
    assert "irq 25" in told.out
    assert "not known" in told.out


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("irq", "99"), 3, "tells of no interrupt of irq 99"),
        (("vector", "0x99"), 3, "no interrupt of vector 0x99"),
        (("d9:9",), 3, "no interrupt of d9 as pirq 9"),
        (("irq",), 2, "which one?"),
        (("irq", "x"), 2, "expected"),
    ],
)
def test_what_is_not_there(run: Run, words: tuple[str, ...], status: int, expected: str) -> None:
    told = run("dump", LOG, "route", *words)
    assert (told.status, told.out) == (status, "")
    assert expected in told.err


def test_of_the_simulation(run: Run) -> None:
    assert "posted to d1v0" in run("sim", "route", "irq", "24").out
