"""`audit`: on real captures, with what came later."""

from __future__ import annotations

import json

import pytest

from inspector.model.snapshot import Snapshot, dumps


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


def test_a_machine_at_rest_is_sound_look_after_look(run):
    started = ("sim", "--scenario", "idle", "-c", "run", "-c", "block d1v0")
    healthy = run(*started, "-c", "run", "-c", "audit --again 2 --json")
    assert healthy.status == 0
    assert json.loads(healthy.out[healthy.out.index("{") :])["findings"] == []


def test_nothing_that_could_be_checked_is_no_verdict(run, tmp_path):
    file = tmp_path / "empty.json"
    file.write_text(dumps(Snapshot("nothing is known")))
    told = run("dump", file, "audit", "D5")
    assert told.status == 3
    assert "nothing could be checked: 1 rule: 0 checked, 1 needs descriptors, which could not be read here" in told.err
    assert "nothing wrong found" not in told.out


def test_one_rule_by_its_name_or_number(run, golden):
    for word in ("D5", "d5", "stranded-vector"):
        document = run("dump", golden("lost-wakeup"), "audit", word, "--json").json
        assert [finding["rule"] for finding in document["findings"]] == ["D5"]
        assert document["coverage"]["checked"] == ["D5"]
    told = run("dump", golden("lost-wakeup"), "audit", "D99")
    assert (told.status, told.out) == (2, "")
    assert "no rule 'D99'" in told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--again", "-1"), "again"),
        (("--wait", "-1"), "wait"),
        (("--wait", "nan"), "wait"),
        (("--with", "/no/dump"), "/no/dump"),
    ],
)
def test_words_that_make_no_sense(run, golden, words, said):
    told = run("dump", golden("lost-wakeup"), "audit", *words)
    assert told.status in (2, 3)
    assert said in told.err
    assert told.out == ""
