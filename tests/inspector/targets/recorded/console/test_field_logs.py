"""Logs of the kinds that people post, and the right answer to each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
LOGS = Path(__file__).parents[4] / "data" / "field" / "logs"


@pytest.fixture
def ask(run: Run) -> Callable[..., Any]:
    """Ask the log whose name begins so."""

    def asked(start: str, *words: str) -> Any:
        (path,) = LOGS.glob(f"{start}*")
        return run("dump", path, *words)

    return asked


def test_c01_posted_rows_and_vcpus_are_no_finding(ask: Run) -> None:
    told = ask("c01", "audit")
    assert (told.status, told.out.splitlines()[0]) == (0, "nothing wrong found")
    assert "need descriptors, which no debug key prints" in told.out
    assert "no debug key prints" in ask("c01", "route", "irte", "0x19").out


def test_c03_unit_numbers_are_hexadecimal(ask: Run) -> None:
    units = {unit["unit"]: unit for unit in ask("c03", "irt", "--json").json["units"]}
    assert {9, 0xA, 0xB} <= units.keys()
    vectors = {index: unit["entries"][0]["vector"] for index, unit in units.items()}

    assert len({vectors[index] for index in (9, 0xA, 0xB)}) == 3


def test_c04_ioapic_numbers_are_hexadecimal(ask: Run) -> None:
    found = {apic["ioapic"]: apic for apic in ask("c04", "ioapic", "--json").json["ioapics"]}
    assert found.keys() == {8, 9, 10}
    assert [(entry["pin"], entry["index"]) for entry in found[10]["entries"] if entry.get("index") is not None] == [
        (2, 0),
        (9, 1),
    ]


def test_c06_dom0_is_not_hardware_virtualised(ask: Run) -> None:
    found = {v["name"]: v for v in ask("c06", "vcpus", "--json").json["vcpus"]}
    shown = ask("c06", "vcpus").out.splitlines()
    assert [row.split()[0] for row in shown if "paravirtualised" in row] == ["d0v0", "d0v1"]
    assert found.keys() >= {"d0v0", "d1v2"}


def test_c08_rows_without_a_header_are_shown_and_told(ask: Run) -> None:
    told = ask("c08", "irt")
    assert told.status == 3
    assert "0x18" in told.out
    assert "which unit's they are is not known" in told.err
    assert len(ask("c08", "irqs", "--json").json["irqs"]) == 4


@pytest.mark.parametrize("words", [("irt",), ("irte", "0x18"), ("info",), ("audit",), ("irqs",), ("route", "03:00.0")])
def test_c09_orphaned_rows_are_told_in_every_command(ask: Run, words: tuple[str, ...]) -> None:
    told = ask("c09", *words)
    assert told.status == 3
    assert told.out
    assert "3 rows stand before any `iommu N:` line" in told.err


def test_c12_what_a_later_answer_lacks_is_gone(ask: Run) -> None:
    assert [each["irq"] for each in ask("c12", "irqs", "--json").json["irqs"]] == [25]


def test_c14_each_boot_by_itself(ask: Run, run: Run) -> None:
    (path,) = LOGS.glob("c14*")
    last = ask("c14", "info")
    assert "2 boots" in last.err
    assert "--boot" in last.err
    assert ask("c14", "irt").status == 3
    assert run("dump", path, "--boot", "2", "vcpus").status == 3
    (unit,) = run("dump", path, "--boot", "1", "irt", "--json").json["units"]
    assert (unit["eime"], len(unit["entries"])) == (True, 4)
    assert run("dump", path, "--boot", "1", "vcpus").status == 0
    none = run("dump", path, "--boot", "3", "irt")
    assert (none.status, "there is no boot 3" in none.err) == (2, True)


def test_c15_faults_are_counted_with_device_and_meaning(ask: Run) -> None:
    found = ask("c15", "faults", "--json").json["faults"]
    assert [(f["bdf"], f["reason"], f["index"], f["count"]) for f in found] == [
        ("03:00.0", 0x22, 0x1A, 1),
        ("03:00.0", 0x28, 0x19, 1),
        ("00:02.0", 0x06, None, 1),
    ]
    assert found[2]["address"] == 0x8E480000
    assert "P=0" in ask("c15", "faults").out
    audited = ask("c15", "audit").out
    assert "0x22" in audited
    assert "nothing wrong" not in audited


def test_c17_faults_of_xen_4_2_alone(ask: Run) -> None:
    (fault,) = ask("c17", "faults", "--json").json["faults"]
    assert (fault["bdf"], fault["reason"], fault["index"]) == ("03:00.0", 0x22, 0x1A)
    assert "nothing wrong" not in ask("c17", "audit").out


def test_c20_devices_owners_and_msis(ask: Run) -> None:
    found = ask("c20", "irqs", "--json").json["irqs"]
    assert [(each["irq"], each["source"]["bdf"], each["owner"]) for each in found] == [
        (25, "03:00.0", "d1"),
        (26, "03:00.0", "d1"),
        (27, "00:14.0", "d0"),
    ]
    assert ask("c20", "audit").status == 3


def test_c21_firmware_text_before_is_no_raw_image(ask: Run) -> None:
    assert len(ask("c21", "irt", "--json").json["units"]) == 1


def test_c25_x2apic_cluster_destinations(ask: Run) -> None:
    assert "cluster 1, member 2" in ask("c25", "irt").out
    assert "cluster 1, member 2" in ask("c25", "route", "irte", "0x18").out


def test_c27_a_paused_vcpu_is_not_runnable(ask: Run) -> None:
    found = {(v["domain_id"], v["vcpu_id"]): v["runstate"] for v in ask("c27", "vcpus", "--json").json["vcpus"]}
    assert "runnable" not in found.values()
    assert found[1, 2] == "offline"


@pytest.mark.parametrize("words", [("irt",), ("irte", "0x18"), ("info",), ("audit",)])
def test_c30_a_cut_row_is_told_in_every_command(ask: Run, words: tuple[str, ...]) -> None:
    told = ask("c30", *words)
    assert told.status == 3
    assert "line 12 is damaged" in told.err
    assert "may be used by anyone" not in told.out


def test_c30_it_is_put_together(ask: Run) -> None:
    (unit,) = ask("c30", "irt", "--json").json["units"]
    assert {entry["index"]: entry["vector"] for entry in unit["entries"]}[0x18] == 0x62


def test_c35_two_prefixes_on_one_line(ask: Run) -> None:
    (unit,) = ask("c35", "irt", "--json").json["units"]
    assert [entry["index"] for entry in unit["entries"]] == [0, 1, 0x18, 0x19]
    told = ask("c35", "faults")
    assert "APIC error on CPU3: 00(08)" in told.out
    assert told.status == 0


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("c37", {(0, 0): None, (0, 1): None, (1, 0): (0, 2), (1, 1): (0, 9), (1, 0x18): None}),
        ("c39", {(0, 0): (1, 0), (0, 1): (1, 1), (0, 2): None, (3, 0): (0, 2), (3, 1): (0, 9), (3, 2): (0, 16)}),
    ],
)
def test_c37_c39_each_entry_has_its_own_source(ask: Run, log: str, expected: dict[tuple[int, int], Any]) -> None:
    found = {
        (unit["unit"], entry["index"]): (entry["source"]["ioapic"], entry["source"]["pin"])
        if entry["source"].get("pin") is not None
        else None
        for unit in ask(log, "irt", "--json").json["units"]
        for entry in unit["entries"]
    }
    assert found == expected


@pytest.mark.parametrize("log", ["p_crlf", "p_journald", "p_quoted"])
def test_prefixes_change_nothing(ask: Run, log: str) -> None:
    assert ask(log, "irt", "--json").json["units"][0]["entries"][2]["vector"] == 0x62
    assert [each["irq"] for each in ask(log, "irqs", "--json").json["irqs"]] == [0, 9, 25, 26, None]
    assert ask(log, "audit").status == 0
