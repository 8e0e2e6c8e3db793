"""What a rule makes of what its check found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inspector.audit import audit, coverage, rules, the_rule
from inspector.audit.rule import BUG, INFO, RULES, WARNING, Found, Rule
from inspector.model.snapshot import Snapshot
from inspector.targets.open_file import open_file


def made(*found, severity=BUG, **options):
    """A rule that finds this."""
    options = {"since": None, "before": None, "needs": (), **options}
    return Rule("X1", "a-rule", "a title", severity, explanation="", check=lambda snapshot: iter(found), **options)


CERTAIN, DOUBT = Found("d1v0", "wrong"), Found("d1v0", "wrong", certain=False, state=(1,))


@pytest.mark.parametrize(
    ("severity", "found", "wanted", "suspicion"),
    [
        (BUG, CERTAIN, BUG, False),
        (BUG, DOUBT, WARNING, True),
        (WARNING, CERTAIN, WARNING, False),
        (WARNING, DOUBT, WARNING, False),
        (INFO, CERTAIN, INFO, False),
        (INFO, DOUBT, INFO, False),
    ],
)
def test_only_what_is_certain_is_a_bug(severity, found, wanted, suspicion):
    (finding,) = made(found, severity=severity).findings(Snapshot("a machine"))
    assert (finding.severity, finding.suspicion, finding.state) == (wanted, suspicion, found.state)
    assert finding.document().keys() == {"rule", "severity", "subject", "message", "suspicion"}


@pytest.mark.parametrize(
    ("since", "before", "version", "holds"),
    [
        ((4, 9), None, "4.8.5", False),
        ((4, 9), None, "4.9.0", True),
        ((4, 9), None, "4.20.3", True),
        (None, (4, 13), "4.12.4", True),
        (None, (4, 13), "4.13.0", False),
        ((4, 9), (4, 13), "4.11.0", True),
        # Where the version is not known, a rule that might hold is asked.
        ((4, 9), (4, 13), None, True),
    ],
)
def test_the_versions_that_it_holds_for(since, before, version, holds):
    rule = made(CERTAIN, since=since, before=before)
    machine = replace(Snapshot("a machine"), version=version) if version else Snapshot("a machine")
    assert rule.holds_for(machine) == holds
    assert len(list(rule.findings(machine))) == holds


def test_versions_in_words():
    assert made(since=(4, 9)).versions == "Xen 4.9 and later"
    assert made(before=(4, 13)).versions == "Xen 4.7 up to before 4.13"


def test_a_machine_that_does_not_tell_what_a_rule_needs_is_not_asked():
    for rule in RULES.values():
        if rule.missing(Snapshot("nothing is known")):
            assert list(rule.findings(Snapshot("nothing is known"))) == []


def test_names_and_numbers_are_each_one_rules():
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert all(number == rule.id for number, rule in RULES.items())
    assert all(rule.explanation for rule in RULES.values())


LOGS = Path(__file__).parents[2] / "data" / "field" / "logs"


def of_log(name: str) -> Snapshot:
    """The snapshot of a log."""
    with open_file(LOGS / name) as target:
        return target.snapshot  # type: ignore[attr-defined,no-any-return]


def test_every_rule_is_checked_or_needs_something_or_is_of_another_version() -> None:
    for snapshot in (Snapshot("nothing"), of_log("c01_posted_rows_and_q_false_D17.log")):
        found = coverage(snapshot)
        ids = [*found.checked, *(id for id, _ in found.missing), *found.other]
        # What is about a Linux alone is no question of a machine that runs none.
        about = [rule.id for rule in rules() if rule.xen]
        assert sorted(ids) == sorted(about)
        assert str(found).startswith(f"{len(about)} rules: {len(found.checked)} checked")


def test_nothing_can_be_said_of_nothing() -> None:
    assert coverage(Snapshot("nothing")).checked == ()
    assert audit(Snapshot("nothing")) == []


def test_no_rule_about_descriptors_is_asked_about_a_log() -> None:
    snapshot = of_log("c01_posted_rows_and_q_false_D17.log")
    assert audit(snapshot) == []
    found = coverage(snapshot)
    assert "D17" not in found.checked
    assert dict(found.missing)["D17"] == "descriptors, which no debug key prints"
    assert {"D19", "D20", "D21", "D29"} <= {*found.checked}
    assert coverage(snapshot, the_rule("D17")).checked == ()


def test_a_log_without_a_key_says_which_one_prints_it() -> None:
    needs = dict(coverage(of_log("c20_Q_only.log")).missing)
    assert needs["D19"] == "remapping tables, which debug key V prints"


def test_the_command_says_it_in_text_and_json(run: Callable[..., Any]) -> None:
    log = LOGS / "c01_posted_rows_and_q_false_D17.log"
    told = run("dump", log, "audit")
    assert (told.status, told.out.splitlines()[0]) == (0, "nothing wrong found")
    assert "need descriptors, which no debug key prints" in told.out
    covered = run("dump", log, "audit", "--json").json["coverage"]
    assert "D19" in covered["checked"]
    assert {"rule": "D17", "needs": "descriptors, which no debug key prints"} in covered["not_checked"]


def test_status_3_where_nothing_could_be_checked(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "random"
    path.write_bytes(bytes(range(256)) * 4096)
    told = run("dump", path, "audit")
    assert (told.status, told.out) == (3, "")
    assert "nothing could be checked" in told.err
    assert run("dump", LOGS / "c01_posted_rows_and_q_false_D17.log", "audit", "D5").status == 3
