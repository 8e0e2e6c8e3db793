"""Targets as a Python program has them."""

from __future__ import annotations

import json

import pytest
import vtdpi


@pytest.fixture
def sim():
    with vtdpi.sim("idle") as target:
        yield target


def test_a_program_sees_what_the_commands_print(sim, run):
    printed = run("sim", "--scenario", "idle", "vcpus", "--json").json
    assert sim.run("vcpus").document["vcpus"] == printed["vcpus"]
    assert [vcpu.name for vcpu in sim.snapshot().vcpus] == [v["name"] for v in printed["vcpus"]]


def test_a_snapshot_is_of_one_moment(sim):
    before = sim.snapshot()
    assert sim.snapshot() is before
    sim.run("block d1v0")
    after = sim.snapshot()
    assert (before.by_name["d1v0"].blocked, after.by_name["d1v0"].blocked) == (False, True)


def test_routes(sim):
    (posted,) = sim.route("irte 24")
    assert (posted.vcpu.name, posted.source.bdf) == ("d1v0", "00:03.0")
    assert [route.entry["index"] for route in sim.route("d1v0")] == [24]
    assert sim.route("00:03.0", unit=0)
    with pytest.raises(vtdpi.UsageError, match="expected a device"):
        sim.route("nonsense and more")


def test_a_saved_snapshot_and_a_capture_are_targets_too(sim, golden, tmp_path):
    sim.run(f"save {tmp_path / 'saved.json'}")
    with vtdpi.open(tmp_path / "saved.json") as saved:
        assert saved.snapshot().vcpus == sim.snapshot().vcpus
    with vtdpi.open(golden("lost-wakeup")) as capture:
        assert [finding.rule for finding in capture.audit().bugs] == ["D5"]
        assert capture.audit(rule="D4").findings == ()
        assert "core" in repr(capture)


def test_what_has_changed(sim, golden):
    with vtdpi.sim("idle") as later:
        later.run("block d1v0")
        later.run("run")
        assert ("d1v0", "pi.nv") in {(change.subject, change.field) for change in later.diff(sim)}
        assert later.diff(later.snapshot()) == []
    with vtdpi.open(golden("lost-wakeup")) as dump, pytest.raises(vtdpi.UsageError, match="is for a console log"):
        dump.across()


def test_a_log_before_and_after_sleep(data, tmp_path):
    said = (data / "field/logs/p_crlf.log").read_bytes().replace(b"\r", b"")
    start = said.index(b"(XEN) iommu 0")
    woken = said.count(b"\n") + 1
    keys = said[start:].replace(b"0300 62 ", b"0300 63 ")
    assert keys != said[start:]
    (tmp_path / "log").write_bytes(said + b"(XEN) Finishing wakeup from ACPI S3 state.\n" + keys)
    with vtdpi.open(tmp_path / "log") as log:
        (change,) = log.across()
        assert (change.subject, change.field, change.before, change.after) == (
            "unit 0 entry 0x18",
            "vector",
            0x62,
            0x63,
        )
        assert log.across(woken) == log.across("s3")
        with pytest.raises(vtdpi.UsageError, match="no debug key's answer stands after line 1000000000"):
            log.across(10**9)


def test_the_parts_of_a_dump_and_a_hole_are_named(golden, tmp_path):
    with pytest.raises(vtdpi.UsageError, match="several files are the parts of a split kdump"):
        vtdpi.open(golden("lost-wakeup"), golden("two-in-guest"))
    with pytest.raises(vtdpi.UsageError, match="--hole is for a raw image"):
        vtdpi.open(golden("lost-wakeup"), hole="2G")
    image = tmp_path / "image"
    image.write_bytes(bytes(8 << 12))
    with vtdpi.open(image, hole=str(4 << 12)) as target:
        assert "raw" in target.description


def test_what_is_wrong_is_an_exception_with_fields(sim, tmp_path):
    with pytest.raises(vtdpi.UsageError) as caught:
        sim.run("irtt")
    assert (caught.value.found, caught.value.advice) == ("irtt", "did you mean irt?")
    assert "irt" in caught.value.expected
    with pytest.raises(vtdpi.UsageError) as caught:
        sim.audit(rule="D99")
    assert caught.value.found == "D99"
    assert "D5" in caught.value.expected
    with pytest.raises(vtdpi.NotHere) as unreadable:
        sim.run("pi 0xfffffff00000")
    assert unreadable.value.address == 0xFFFFFFF00000
    with pytest.raises(vtdpi.TargetError):
        vtdpi.open(tmp_path / "nothing")
    with pytest.raises(vtdpi.NotHere, match="does not run by itself"):
        sim.stop()


def test_a_stream_of_parts_is_one_answer(sim):
    assert vtdpi.sim("wakeup-storm").run("trace --count 2").document["hits"][1]["vcpu"]


def test_a_notebook_s_cell_prints_tables(sim):
    cell = sim.run("vcpus")._repr_html_()
    assert "<th>VCPU</th>" in cell
    assert "<td>d1v0</td>" in cell
    assert "<td>posted</td>" in sim.snapshot().irt()._repr_html_()
    json.dumps(sim.run("vcpus").document)


def test_whatever_a_notebook_cell_holds_is_a_table_there_and_a_line_elsewhere(golden):
    with vtdpi.open(golden("two-in-guest")) as target:
        snapshot = target.snapshot()
        assert "d1v0" in snapshot._repr_html_()
        assert "two-in-guest" in target._repr_html_()
        assert repr(snapshot) == f"<snapshot of {target.description}>"
        assert "<table>" in target.run("vcpus")._repr_html_()
        assert repr(snapshot.units) == "()" or len(repr(snapshot.units)) < 100
    with vtdpi.sim("one-device") as target:
        (route, *_) = target.route("d1v0")
        assert repr(route) == "<00:03.0 MSI-X irq 24: unit 0 entry 0x18, vector 0x30, posted to d1v0>"
        assert "the unit sets" in route._repr_html_()
        assert repr(route.unit) == "<unit 0 at 0xfed90000>"
