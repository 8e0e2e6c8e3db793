"""`dmar` of tables that firmware could have left, each in a machine's memory behind a root pointer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from structs.dmar import DMAR

TABLES = Path(__file__).parents[2] / "data/field/dmar"
DMAR_AT = 0x7E1000

Run = Callable[..., Any]

# What is printed, and what is complained of.
SAID: dict[str, tuple[list[str], str]] = {
    "andd": (
        [r"ANDD       device 1: \_SB.PCI0.I2C0", r"ACPI namespace device 1 00:15.0 \_SB.PCI0.I2C0"],
        "",
    ),
    "andd-empty": (["ANDD       device 1: no name"], ""),
    "base-dup": (["base 0xfed90000, segment 1"], "two DRHDs have register base 0xfed90000"),
    "base-zero": (["base 0x0, segment 0"], "a DRHD has register base 0x0, which no unit has"),
    "reserved-bits": (
        [
            "rsvd_7_3=0x1f!",
            "reserved=0102030405060708090a!",
            "window of 16 KiB (2^2 pages)",
            "include_pci_all rsvd_7_1=0x78! rsvd_7_4=0xf!",
            "rsvd_7_5=0x7! reserved=0x55!",
            "all_ports rsvd_7_1=0x7f!",
        ],
        "",
    ),
    "rhsa-24": (["base 0xfed90000, proximity domain 3"], ""),
    "scope-beyond": (["8 bytes that are no sound scope", "base 0xfed91000"], "no sound device scope"),
    "scope-len-0": (["8 bytes that are no sound scope", "base 0xfed91000"], "no sound device scope"),
    "sidp-flags": (["SIDP       segment 0", "req_wo_pasid_nested_notallowed", "atc_hardened atc_required"], ""),
    "struct-beyond-table": (["base 0xfed90000"], "ends in 16 bytes that are no sound structure"),
    "two-segments": (["base 0xfed92000, segment 1", "IOAPIC 9 00:05.4"], ""),
    "unknown-type": (["type 7     8 bytes: 4142434445464748", "base 0xfed91000"], ""),
}


def test_each_table_has_an_answer_here() -> None:
    assert {path.stem for path in TABLES.iterdir()} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_of_it(run: Run, image: Any, name: str) -> None:
    image.put(DMAR_AT, (TABLES / f"{name}.dat").read_bytes())
    shown, complaint = SAID[name]
    ran = run("dump", image.path, "dmar")
    for words in shown:
        assert words in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    assert ran.status == (3 if complaint else 0)
    assert complaint in ran.err
    assert run("dump", image.path, "dmar", "--json").json["oem_table_id"] == "TESTTEST"


@pytest.mark.parametrize("name", SAID)
def test_nothing_is_lost(name: str) -> None:
    raw = (TABLES / f"{name}.dat").read_bytes()
    assert DMAR.build(DMAR.parse(raw)) == raw


def test_json_keeps_names_apart(run: Run, image: Any) -> None:
    image.put(DMAR_AT, (TABLES / "andd.dat").read_bytes())
    structures = run("dump", image.path, "dmar", "--json").json["structures"]
    assert [(of["name"], of.get("object_name")) for of in structures] == [
        ("DRHD", None),
        ("ANDD", r"\_SB.PCI0.I2C0"),
        ("ANDD", r"\_SB.PCI0.I2C1"),
    ]


@pytest.mark.parametrize(("name", "bases"), [("base-zero", [0xFED91000]), ("base-dup", [0xFED90000])])
def test_only_units_that_can_be_are_units(run: Run, image: Any, name: str, bases: list[int]) -> None:
    image.put(DMAR_AT, (TABLES / f"{name}.dat").read_bytes())
    assert [unit["register_base"] for unit in run("dump", image.path, "info", "--json").json["units"]] == bases


def test_dmar(image, run):
    table = run("dump", image.path, "dmar", "--json").json
    assert (table["signature"], table["host_address_width"], table["checksum_ok"]) == ("DMAR", 39, True)
    (unit,) = table["structures"]
    assert (unit["name"], unit["base"], [scope["type"] for scope in unit["scopes"]]) == ("DRHD", 0xFED90000, [3, 4])
    text = run("dump", image.path, "dmar").out
    assert "IOAPIC 0 f0:1f.0" in text
    assert "include_pci_all" in text
