"""What a survey tells of one file is what the commands tell of it."""

from __future__ import annotations

import json
from dataclasses import replace

from inspector import __version__
from inspector.batch.evidence import found
from inspector.batch.survey_row import survey


def evidence(path):
    (one,) = found([str(path)])
    return one


def test_a_dump_as_the_commands_tell_it(golden, run):
    core = golden("lost-wakeup")
    row = survey(evidence(core))
    findings = run("dump", core, "audit", "--json").json
    assert [vars_of(each) for each in row.findings] == findings["findings"]
    assert list(row.checked) == findings["coverage"]["checked"]
    info = run("dump", core, "info", "--json").json["xen"]
    assert (row.version, row.build_id) == (info["version"], info["build_id"])
    vcpus = run("dump", core, "vcpus", "--json").json["vcpus"]
    assert row.vcpu_count == len(vcpus)
    assert row.blocked_count == sum(each["blocked"] for each in vcpus)
    assert (row.file, row.vtdpi_version, row.problems, row.unread) == (str(core), __version__, (), False)


def vars_of(finding):
    return {name: getattr(finding, name) for name in ("rule", "severity", "subject", "message", "suspicion")}


def test_posted_entries_of_a_log(data, run):
    log = data / "field" / "logs" / "c03_16_units_hex_index.log"
    row = survey(evidence(log))
    entries = [each for unit in run("dump", log, "irt", "--json").json["units"] for each in unit["entries"]]
    assert row.entry_count == len(entries)
    assert row.posted_count == sum(each["format"] == "posted" for each in entries) == 12


def test_what_cannot_be_opened_has_a_row_that_says_why(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("nothing of Xen\n")
    row = survey(evidence(path))
    assert row.unread
    assert row.problems[0].startswith(f"{path} is a text file; expected a memory dump")
    assert json.dumps(row.problems)


def test_whether_it_is_still_true(tmp_path):
    path = tmp_path / "log"
    path.write_text("x")
    before = evidence(path)
    row = survey(before)
    assert row.is_of(before)
    assert not replace(row, vtdpi_version="0.0.1").is_of(before)
    assert not row.is_of(replace(before, modified="1"))
    assert not row.is_of(replace(before, size=2))
    assert not replace(row, modified="").is_of(replace(before, modified=""))
