"""`route`: from a device to a vCPU, as far as it can be told."""

from __future__ import annotations

import pytest


def test_route_from_a_vcpu_without_a_table_shows_the_rest_of_the_way(run, golden):
    answer = run("dump", golden("lost-wakeup"), "route", "d1v2")
    assert answer.status == 0
    assert "on CPU 0's" in answer.out
    assert "no interrupt-remapping table" in answer.err
    assert run("dump", golden("lost-wakeup"), "route", "irte", "3").status == 3
    assert "expected a device" in run("dump", golden("lost-wakeup"), "route", "one", "two", "three").err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("irte", "0x99999"), 2, "no table has an index 0x99999"),
        (("irte", "x"), 2, "route: "),
        (("ioapic", "9:4"), 2, "there is no pin 4 of an IO-APIC 9"),
        (("ioapic", ":"), 2, "route: "),
        (("d7v7",), 2, "there is no vCPU d7v7"),
        (("nonsense",), 2, "route: "),
        (("a", "b", "c"), 2, "expected a device (03:00.0), `irte N`"),
        ((), 2, "required: BDF|irte N|ioapic PIN"),
    ],
)
def test_what_is_no_start_is_one_line(run, words, status, said):
    told = run("sim", "--scenario", "one-device", "route", *words)
    assert (told.status, told.out) == (status, "")
    assert said.lower() in told.err.lower()


def test_every_end_of_one_interrupt_leads_to_the_same(run):
    """By the device, by the entry, and by the vCPU that it is posted to."""
    at = ("sim", "--scenario", "one-device")
    posted = [row for row in run(*at, "irt", "--json").json["units"][0]["entries"] if row["format"] == "posted"]
    assert posted
    for row in posted:
        (by_entry,) = run(*at, "route", "irte", row["index"], "--json").json["routes"]
        vcpu = by_entry["vcpu"]["name"]
        assert by_entry in run(*at, "route", vcpu, "--json").json["routes"]
        assert by_entry in run(*at, "route", row["source"]["bdf"], "--json").json["routes"]


def test_what_is_not_present_is_said(run):
    told = run("sim", "--scenario", "one-device", "route", "irte", "0xff00")
    assert (told.status, told.out) == (0, "entry 0xff00 is not present (P=0)\n")
    assert "no present entry is for 00:1d.0" in run("sim", "route", "00:1d.0").out


@pytest.mark.parametrize(
    ("printed", "typed"),
    [
        ("0:0x18", "irte 0x18"),
        ("unit 0 entry 0x18", "irte 0x18"),
        ("IO-APIC 0 pin 2", "ioapic 2"),
    ],
)
def test_a_place_as_it_is_printed(printed, typed, run):
    shown = run("sim", "route", *printed.split())
    assert shown.status == 0
    assert shown.out == run("sim", "route", *typed.split()).out


def test_nothing_is_said_of_a_table_that_nobody_read(run, golden):
    ran = run("dump", golden("lost-wakeup"), "route", "d1v2")
    assert "nothing is posted" not in ran.out
    assert "what is routed there cannot be told: no interrupt-remapping table can be read here" in ran.out
