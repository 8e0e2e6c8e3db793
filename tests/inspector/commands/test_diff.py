"""The command `diff`: two files, or the middle of one log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOGS = Path(__file__).parents[2] / "data" / "field" / "logs"
Run = Callable[..., Any]

SLEPT = """(XEN) Preparing system for ACPI S3 state.
(XEN) Disabling non-boot CPUs ...
(XEN) Broke affinity for IRQ9, new: ff
(XEN) Entering ACPI S3 state.
(XEN) Finishing wakeup from ACPI S3 state.
(XEN) Enabling non-boot CPUs  ...
"""
CHANGED = {
    "R:  0018:  1   0  0300 62    0   0 00010004   1": "R:  0018:  1   0  0300 62    0   0 00000001   1",
    "irr=1 trig=L mask=0": "irr=0 trig=L mask=1",
    "09:  0001   1    0   1   1 ": "09:  0001   1    1   1   0 ",
    "IO-APIC-level   status=010 aff:{0-7}/{0}": "IO-APIC-level   status=012 aff:{0}/{0}",
    "in-flight=0 d1: 87(---)": "in-flight=1 d1: 87(P-M)",
    "mask=1/  /0": "mask=1/HG/1",
}
MSI = """(XEN) MSI information:
(XEN)  MSI    25 vec=62 lowest  edge   assert  log lowest dest=00000001 mask=1/  /0
"""


@pytest.fixture
def slept(tmp_path: Path) -> Path:
    """A log of a machine that slept, with the same keys before and after."""
    said = (LOGS / "p_crlf.log").read_text().replace("\r", "")
    boot, keys = said[: said.index("(XEN) iommu 0")], said[said.index("(XEN) iommu 0") :] + MSI
    after = keys
    for old, new in CHANGED.items():
        assert old in after
        after = after.replace(old, new)
    path = tmp_path / "log"
    path.write_text(boot + keys + SLEPT + after)
    return path


def test_one_log_before_and_after_sleep(run: Run, slept: Path) -> None:
    asked = run("dump", slept, "diff", "--across", "s3", "--json").json
    changes = {(each["subject"], each["field"]): (each["before"], each["after"]) for each in asked["changes"]}
    assert changes == {
        ("unit 0 entry 0x18", "dst"): (0x10004, 1),
        ("IO-APIC 0 pin 9", "mask"): (0, 1),
        ("IO-APIC 0 pin 9", "irr"): (1, 0),
        ("irq 9", "status"): ("0x10", "0x12"),
        ("irq 9", "affinity"): ([*range(8)], [0]),
        ("irq 25", "in_flight"): (0, 1),
        **{("irq 25", name): (False, True) for name in ("host_masked", "guest_masked", "masked")},
        ("irq 25 of d1", "pending"): (False, True),
        ("irq 25 of d1", "pirq_masked"): (False, True),
    }
    assert asked["not_compared"] == ["devices"]


def test_a_line_instead_of_the_wake_up(run: Run, slept: Path) -> None:
    lines = slept.read_text().splitlines()
    woken = lines.index("(XEN) Finishing wakeup from ACPI S3 state.") + 1
    same = [run("dump", slept, "diff", "--across", word, "--json").json["changes"] for word in ("s3", woken)]
    assert same[0] == same[1] != []


def test_a_key_that_was_not_pressed_again_is_not_compared(run: Run, slept: Path) -> None:
    text = slept.read_text()
    slept.write_text(text[: text.rindex("(XEN) IRQ information:")])
    asked = run("dump", slept, "diff", "--across", "s3", "--json").json
    assert asked["not_compared"] == ["devices", "irqs", "msis", "vcpus"]
    assert {each["subject"] for each in asked["changes"]} >= {"unit 0 entry 0x18", "IO-APIC 0 pin 9"}
    assert not {each["subject"] for each in asked["changes"]} & {"irq 9", "irq 25"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "with which earlier one? Expected a file, or --across LINE in a log"),
        (("--across", "s3"), "has no wake-up from sleep; name a line: --across LINE"),
        (("--across", "s3", "other"), "it takes no other file"),
        (("--across", "x"), "'x' is no number"),
        (("--across", "1"), "no debug key's answer stands before line 1"),
        (("--across", "99999"), "no debug key's answer stands after line 99999"),
    ],
)
def test_what_cannot_be_asked(run: Run, words: tuple[str, ...], message: str) -> None:
    asked = run("dump", LOGS / "p_crlf.log", "diff", *words)
    assert (asked.status, asked.out) == (2, "")
    assert message in asked.err


def test_what_one_side_does_not_know_has_not_changed(run: Run, tmp_path: Path) -> None:
    """Before, all keys; after, `V` alone: no pin, irq or vector of Xen's is gone for that."""
    said = (LOGS / "p_crlf.log").read_text().replace("\r", "")
    tables = said[said.index("(XEN) iommu 0") : said.index("(XEN) Redirection table of IOAPIC 0")]
    (tmp_path / "all").write_text(said)
    (tmp_path / "tables").write_text(tables.replace("0300 62 ", "0300 63 "))
    asked = run("dump", tmp_path / "tables", "diff", tmp_path / "all", "--json").json
    assert asked["changes"] == [{"subject": "unit 0 entry 0x18", "field": "vector", "before": 0x62, "after": 0x63}]
    assert asked["not_compared"] == ["devices", "irqs", "msis", "pins", "vcpus"]


def test_a_dump_has_no_lines(run: Run, golden: Callable[[str], Path]) -> None:
    asked = run("dump", golden("two-in-guest"), "diff", "--across", "s3")
    assert asked.status == 2
    assert "--across is for a console log" in asked.err


def test_diff_tells_exactly_what_changed(run, golden):
    files = golden("lost-wakeup"), golden("lost-wakeup-1s-later")
    changes = run("dump", files[0], "diff", *files, "--json").json["changes"]
    assert {"subject": "d1v3", "field": "pi.ndst", "before": 0, "after": 1} in changes
    assert {(c["subject"], c["field"]) for c in changes if c["field"].startswith("pi")} == {
        ("d1v3", "pi.ndst"),
        ("d1v4", "pi.ndst"),
    }
    assert not any(change["subject"] == "d1v2" for change in changes)
    assert run("dump", files[0], "diff", files[0]).out == "no difference\n"


def test_a_simulated_machine_against_itself_later(run, tmp_path):
    at = ("sim", "--scenario", "idle", "-c", "run")
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    run(*at, "-c", f"save {before}")
    run(*at, "-c", "block d1v0", "-c", "run", "-c", f"save {after}")
    changes = run("dump", after, "diff", before, after, "--json").json["changes"]
    of_vcpu = {
        change["field"]: (change["before"], change["after"]) for change in changes if change["subject"] == "d1v0"
    }
    assert of_vcpu["runstate"] == ("running", "blocked")
    assert of_vcpu["pi.nv"] == (0xF2, 0xF3)
    back = {
        (change["subject"], change["field"]): (change["after"], change["before"])
        for change in run("dump", after, "diff", after, before, "--json").json["changes"]
    }
    assert back == {(c["subject"], c["field"]): (c["before"], c["after"]) for c in changes}
    text = run("dump", after, "diff", before, after).out
    assert "0xf2" in text
    assert "0xf3" in text


def test_a_file_that_is_not_there(run, golden):
    told = run("dump", golden("lost-wakeup"), "diff", golden("lost-wakeup"), "/no/dump")
    assert told.status == 3
    assert "/no/dump" in told.err
    assert told.out == ""
