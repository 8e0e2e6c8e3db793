"""The commands about posted interrupts, on real captures and through files."""

from __future__ import annotations

import json

import pytest

from inspector.model.snapshot import SCHEMA

PI_KEYS = {"address", "pir", "on", "sn", "nv", "ndst"}


def test_vcpus_has_the_keys_that_scripts_rely_on(run, golden, data):
    vcpus = run("dump", golden("woken-still-listed"), "vcpus", "--json").json["vcpus"]
    expected = json.loads((data / "golden/xen-4.20.3-woken-still-listed.expected.json").read_text())["vcpus"]
    shown = {(v["domain"], v["vcpu"]): v for v in vcpus}
    for wanted in expected:
        got = shown[wanted["domain"], wanted["vcpu"]]
        assert {key: got[key] for key in ("processor", "runstate", "blocked", "pi", "blocking_list")} == {
            key: wanted[key] for key in ("processor", "runstate", "blocked", "pi", "blocking_list")
        }
    assert shown[0, 0]["pi"] is None
    assert shown[1, 4]["situation"] == "S8"
    assert run("dump", golden("woken-still-listed"), "vcpus").status == 0


def test_one_vcpu_in_detail(run, golden):
    answer = run("dump", golden("lost-wakeup"), "vcpus", "d1v2")
    assert "on CPU 0's list" in answer.out
    assert "D5 bug" in answer.out
    assert "there is no vCPU d7v0" in run("dump", golden("lost-wakeup"), "vcpus", "d7v0").err


@pytest.mark.parametrize(
    ("capture", "vcpu", "says"),
    [
        ("two-in-guest", "d1v0", ["sends vector 0xf2 to APIC 0x0, CPU 0", "takes the vector in at once"]),
        ("two-in-guest", "d1v1", ["sends vector 0xf3", "finds d1v1 with ON=1, takes it off and wakes it"]),
        ("two-in-guest", "d1v3", ["ON=1 says that a notification is on its way"]),
        ("woken-still-listed", "d1v1", ["SN suppresses the notification"]),
        ("post-in-progress-or-stranded", "d1v0", ["CPU 0 is in Xen: a softirq makes it look at PIR"]),
    ],
)
def test_what_a_post_does_now(run, golden, capture, vcpu, says):
    answer = run("dump", golden(capture), "pi", vcpu)
    assert answer.status == 0
    for words in says:
        assert words in answer.out


def test_pi_by_address_names_the_vcpu(run, golden):
    document = run("dump", golden("lost-wakeup"), "pi", "0x27bdb680", "--bytes", "--json").json
    assert (document["vcpu"], document["pir"], document["situation"]) == ("d1v2", [0x52], "S8")
    assert bytes.fromhex(document["bytes"])[10] == 4
    assert "neither a vCPU" in run("dump", golden("lost-wakeup"), "pi", "nobody").err


def test_blocked_shows_the_lists_in_order(run, golden):
    document = run("dump", golden("cpu-offline-after-fixup"), "blocked", "--json").json
    assert [(of_cpu["cpu"], of_cpu["vcpus"]) for of_cpu in document["lists"]] == [(0, ["d1v4", "d1v5", "d1v1"])]
    assert "0xffff" in run("dump", golden("cpu-offline-after-fixup"), "blocked", "0").out
    assert run("dump", golden("cpu-offline-after-fixup"), "blocked", "7").status == 2


def test_audit_ends_with_status_1_for_a_bug_and_confirms_with_a_second_dump(run, golden):
    one = run("dump", golden("linux-guest-hung"), "audit", "--json")
    assert (one.status, one.json["findings"][0]["severity"]) == (0, "warning")
    two = run("dump", golden("lost-wakeup"), "audit", "--with", golden("lost-wakeup-1s-later"), "--json")
    assert two.status == 1
    (finding,) = two.json["findings"]
    assert (finding["rule"], finding["severity"], finding["subject"]) == ("D5", "bug", "d1v2")
    assert "0x52" in finding["message"]
    healthy = run("dump", golden("two-in-guest"), "audit").out
    assert healthy.startswith("nothing wrong found\n")
    assert " rules: " in healthy.splitlines()[1]
    assert run("dump", golden("lost-wakeup"), "audit", "D1").status == 0
    assert "does not run" in run("dump", golden("lost-wakeup"), "audit", "--again", "1").err


def test_explain(run, golden):
    assert "stranded-vector" in run("dump", golden("two-in-guest"), "explain").out
    text = run("dump", golden("two-in-guest"), "explain", "stranded-vector").out
    assert "Look next at" in text
    assert "c112b5f50232" in text
    assert run("dump", golden("two-in-guest"), "explain", "D99").status == 2


def test_a_saved_snapshot_is_a_target(run, golden, tmp_path):
    file = tmp_path / "now.json"
    assert run("dump", golden("lost-wakeup"), "save", file).status == 0
    for words in (["vcpus"], ["blocked"], ["audit"], ["pi", "d1v2"], ["route", "d1v2"]):
        from_dump = run("dump", golden("lost-wakeup"), *words, "--json")
        from_file = run("dump", file, *words, "--json")
        assert (from_file.status, from_file.json) == (from_dump.status, from_dump.json)
    assert "tells of no VT-d unit" in run("dump", file, "irt").err
    file.write_text(file.read_text().replace(f'"schema":{SCHEMA}', '"schema":99'))
    assert "use a newer vtdpi" in run("dump", file, "vcpus").err
    assert run("dump", golden("lost-wakeup"), "save", tmp_path).status == 2


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


def test_route_from_a_vcpu_without_a_table_shows_the_rest_of_the_way(run, golden):
    answer = run("dump", golden("lost-wakeup"), "route", "d1v2")
    assert answer.status == 0
    assert "on CPU 0's" in answer.out
    assert "no interrupt-remapping table" in answer.err
    assert run("dump", golden("lost-wakeup"), "route", "irte", "3").status == 3
    assert "expected a device" in run("dump", golden("lost-wakeup"), "route", "one", "two", "three").err


@pytest.mark.parametrize("words", [["vcpus"], ["blocked"], ["pi", "d1v0"]])
def test_without_a_xen_there_is_one_clear_line(run, image, words):
    answer = run("dump", image.path, *words)
    assert answer.status == 3
    assert "Xen" in answer.err
    assert answer.out == ""


def test_a_saved_table_is_shown_as_the_table_was(run, image, tmp_path):
    file = tmp_path / "now.json"
    assert run("dump", image.path, "save", file).status == 0
    now, then = (run("dump", target, "irt", "--json").json["units"] for target in (image.path, file))
    assert now == then
    assert (
        run("dump", file, "irte", "0", "--json").json["units"]
        == run("dump", image.path, "irte", "0", "--json").json["units"]
    )
