"""The command `irqs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOGS = Path(__file__).parents[2] / "data" / "field" / "logs"
LOG = LOGS / "p_journald.log"
Run = Callable[..., Any]


def numbers(run: Run, *words: str) -> list[int | None]:
    """The irqs that are chosen."""
    return [each["irq"] for each in run("dump", LOG, "irqs", *words, "--json").json["irqs"]]


def test_one_table_of_all(run: Run) -> None:
    found = {each["irq"]: each for each in run("dump", LOG, "irqs", "--json").json["irqs"]}
    assert found[9]["pin"] == {"ioapic": 0, "pin": 9, "masked": False, "remote_irr": True}
    assert (found[9]["index"], found[9]["taken_by"], found[9]["pending"]) == (1, "d0", ["IRR"])
    bound = {"domain": "d1", "domain_id": 1, "pirq": 87}
    assert found[25]["guests"] == [{**bound, "pending": False, "masked": False, "pirq_masked": False}]
    assert (found[25]["unit"], found[25]["index"], found[25]["source"]["bdf"]) == (0, 0x18, "03:00.0")
    shown = run("dump", LOG, "irqs")
    assert shown.status == 0
    assert "IO-APIC 0 pin 9" in shown.out
    assert "no answer to some debug keys" in shown.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--domain", "1"), [25]),
        (("--vector", "0x38"), [9]),
        (("--device", "03:00.0"), [25, None]),
        (("--masked",), [26]),
        (("--pending",), [9]),
        (("--posted",), [None]),
        (("--cpu", "7"), []),
        (("--sort", "vector", "--domain", "0"), [9]),
    ],
)
def test_filters(run: Run, words: tuple[str, ...], expected: list[int | None]) -> None:
    assert numbers(run, *words) == expected


def test_sorting(run: Run) -> None:
    assert numbers(run, "--sort", "vector") == [9, 25, 26, 0, None]


def test_from_memory_and_from_the_simulation(run: Run) -> None:
    posted = run("sim", "irqs", "--posted", "--json").json["irqs"]
    assert {each["taken_by"] for each in posted} == {"posted to d1v0", "posted to d1v1"}
    assert all(each["owner"] == "d1" for each in posted)


def test_a_log_without_interrupts_says_which_keys_would_tell(run: Run) -> None:
    told = run("dump", LOGS / "c27_paused_domain.log", "irqs")
    assert (told.status, told.out) == (3, "")
    assert "tells of no interrupt: it has no answer to the debug keys V, M, i, Q" in told.err
