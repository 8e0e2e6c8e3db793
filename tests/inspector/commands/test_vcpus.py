"""`vcpus`: on real captures."""

from __future__ import annotations

import json

import pytest

PI_KEYS = {"address", "pir", "on", "sn", "nv", "ndst"}


def test_vcpus_has_the_keys_that_scripts_rely_on(run, golden, data):
    vcpus = run("dump", golden("woken-still-listed"), "vcpus", "--json").json["vcpus"]
    expected = json.loads((data / "golden/xen-4.20.3-woken-still-listed.expected.json").read_text())["vcpus"]
    shown = {(v["domain_id"], v["vcpu_id"]): v for v in vcpus}
    for wanted in expected:
        got = shown[wanted["domain"], wanted["vcpu"]]
        assert (got["name"], got["domain"]) == (f"d{wanted['domain']}v{wanted['vcpu']}", f"d{wanted['domain']}")
        assert (got["cpu"], got["in_guest"]) == (wanted["processor"], wanted["in_guest_mode"])
        assert {key: got[key] for key in ("runstate", "blocked", "pi", "blocking_list")} == {
            key: wanted[key] for key in ("runstate", "blocked", "pi", "blocking_list")
        }
    assert shown[0, 0]["pi"] is None
    assert shown[1, 4]["situation"] == "S8"
    assert run("dump", golden("woken-still-listed"), "vcpus").status == 0


def test_one_vcpu_in_detail(run, golden):
    answer = run("dump", golden("lost-wakeup"), "vcpus", "d1v2")
    assert "on CPU 0's list" in answer.out
    assert "D5 bug" in answer.out
    assert "there is no vCPU d7v0" in run("dump", golden("lost-wakeup"), "vcpus", "d7v0").err


@pytest.mark.parametrize("words", [["vcpus"], ["blocked"], ["pi", "d1v0"]])
def test_without_a_xen_there_is_one_clear_line(run, image, words):
    answer = run("dump", image.path, *words)
    assert answer.status == 3
    assert "Xen" in answer.err
    assert answer.out == ""


def test_all_of_a_capture_and_one_alone_say_the_same(run, golden):
    every = run("dump", golden("lost-wakeup"), "vcpus", "--json").json["vcpus"]
    for vcpu in every:
        assert run("dump", golden("lost-wakeup"), "vcpus", vcpu["name"], "--json").json["vcpus"] == [vcpu]
    lost = next(vcpu for vcpu in every if vcpu["name"] == "d1v2")
    assert [(finding["rule"], finding["severity"]) for finding in lost["findings"]] == [("D5", "bug")]
    assert all(vcpu["findings"] == [] for vcpu in every if vcpu is not lost)


def test_what_the_table_says_of_each(run, golden):
    rows = {line.split()[0]: line for line in run("dump", golden("lost-wakeup"), "vcpus").out.splitlines()[1:] if line}
    assert "D5 bug" in rows["d1v2"]
    assert "paravirtualised" in rows["d0v0"]
    assert rows["d1v1"].rstrip().endswith("ok")
