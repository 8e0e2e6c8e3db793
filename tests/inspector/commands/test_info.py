"""`info`: what this target is."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.open_file import open_file


@pytest.mark.parametrize("name", ["lost-wakeup", "xapic-4-cpus"])
def test_a_real_capture(run, golden, name):
    with open_file(golden(name)) as target:
        snapshot = Inspection(target).snapshot
    document = run("dump", golden(name), "info", "--json").json
    xen = document["xen"]
    assert (xen["version"], xen["build_id"]) == (snapshot.version, snapshot.build_id)
    assert xen["cpus"] == [{"cpu": cpu.cpu, "apic_id": cpu.apic_id} for cpu in snapshot.online]
    assert (xen["posted_intr_vector"], xen["pi_wakeup_vector"]) == (
        snapshot.posted_intr_vector,
        snapshot.pi_wakeup_vector,
    )
    assert xen["x2apic"] is snapshot.x2apic
    assert document["memory"] == snapshot.memory
    text = run("dump", golden(name), "info").out
    assert f"{snapshot.version}, build-id {snapshot.build_id}" in text
    assert f"{snapshot.memory / (1 << 20):.1f} MiB in {snapshot.ranges} ranges" in text
    assert f"x2APIC               {'on' if snapshot.x2apic else 'off'}".split() in [
        line.split() for line in text.splitlines()
    ]


def test_a_capture_without_units_says_why(run, golden):
    told = run("dump", golden("lost-wakeup"), "info")
    assert told.status == 0
    assert "no VT-d unit found" in told.err
    assert run("dump", golden("lost-wakeup"), "info", "--json").json["units"] == []


def test_memory_with_a_unit_and_no_xen(run, image):
    document = run("dump", image.path, "info", "--json").json
    assert document["xen"] is None
    (unit,) = document["units"]
    assert unit == {
        "unit": 0,
        "register_base": 0xFED90000,
        "irta": 0x40000F,
        "base": 0x400000,
        "size": 65536,
        "eime": False,
        "origin": "IRTA",
        "cap_pi": True,
    }
    row = next(line for line in run("dump", image.path, "info").out.splitlines() if "0xfed90000" in line)
    assert row.split() == ["0", "0xfed90000", "0x400000", "65536", "0", "supported", "IRTA"]


def test_a_unit_whose_registers_are_not_there(run, image):
    image.put(0xFED90000, b"\xff" * 256)
    (unit,) = run("dump", image.path, "info", "--json").json["units"]
    assert (unit["base"], unit["size"], unit["origin"]) == (None, None, "registers not readable here")
    row = next(line for line in run("dump", image.path, "info").out.splitlines() if "0xfed90000" in line)
    assert row.split()[2:6] == ["unknown", "-", "-", "unknown"]


def test_a_xen_without_posting(run):
    """A simulated one of which neither vector was allocated would say so; this one has both."""
    document = run("sim", "info", "--json").json["xen"]
    text = run("sim", "info").out
    for name in ("notification vector", "wakeup vector"):
        assert name in text
    assert f"{document['posted_intr_vector']:#x}" in text
    assert f"{document['pi_wakeup_vector']:#x}" in text
