"""What is shown of a log where nobody can look: said, not left empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

LOG = Path(__file__).parents[2] / "data" / "field" / "logs" / "c01_posted_rows_and_q_false_D17.log"


def test_the_page_says_what_its_verdict_rests_on(run: Callable[..., Any], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run("dump", LOG, "report", page).status == 0
    text = page.read_text()
    assert "need descriptors, which no debug key prints" in text
    assert "the audit holds" not in text


def test_no_log_has_blocking_lists(run: Callable[..., Any]) -> None:
    told = run("dump", LOG, "blocked")
    assert (told.status, told.out) == (3, "")
    assert "no debug key prints them" in told.err


def test_what_stands_still_for_good_has_no_next_transitions(
    run: Callable[..., Any], golden: Callable[[str], Path], tmp_path: Path
) -> None:
    told = run("dump", golden("lost-wakeup"), "report", tmp_path / "page.html", "--run", "10")
    assert told.status == 3
    assert "stands still for good; --trace FILE takes a trace made before" in told.err
    assert not (tmp_path / "page.html").exists()


def test_a_simulated_machine_runs_first_and_its_transitions_are_a_timeline(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    pages = {}
    for name, words in (("without", ()), ("with", ("--run", "10"))):
        path = tmp_path / f"{name}.html"
        assert run("sim", "report", path, *words).status == 0
        pages[name] = path.read_text()
    assert "transitions" not in pages["without"].lower()
    assert "transitions" in pages["with"].lower()


def test_no_unit_of_a_log_is_said_to_be_at_address_0(run: Callable[..., Any], data: Path, tmp_path: Path) -> None:
    log = data / "field" / "logs" / "c15_faults.log"
    assert run("dump", log, "report", tmp_path / "page.html").status == 0
    page = (tmp_path / "page.html").read_text()
    assert " at 0x0" not in page
    assert "unit 0: 65536 entries, 4 present" in page
    assert "0 online" not in page
