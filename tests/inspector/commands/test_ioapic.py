"""`ioapic`: redirection tables."""

from __future__ import annotations


def test_dumps_have_no_ioapic_registers(image, run):
    answer = run("dump", image.path, "ioapic")
    assert answer.status == 3
    assert "IO-APIC registers are not part of memory" in answer.err


def test_a_simulated_machines_pins_are_those_of_its_table(run):
    (ioapic,) = run("sim", "ioapic", "--json").json["ioapics"]
    entries = {row["index"]: row for row in run("sim", "irt", "--json").json["units"][0]["entries"]}
    assert ioapic["unit"] == 0
    assert [entry["pin"] for entry in ioapic["entries"]] == sorted(entry["pin"] for entry in ioapic["entries"])
    for entry in ioapic["entries"]:
        if entry.get("format") == "remappable" and not entry["mask"]:
            assert entries[entry["index"]]["source"]["kind"] == "ioapic"
    assert "IO-APIC 0: " in run("sim", "ioapic").out


def test_a_real_log_has_them(run, data):
    (log,) = (data / "field/logs").glob("c04*")
    told = run("dump", log, "ioapic", "--json")
    assert told.status == 0
    assert all(isinstance(entry["index"], int) for each in told.json["ioapics"] for entry in each["entries"])
