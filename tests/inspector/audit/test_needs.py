"""What a verdict rests on: rules that could not be asked are named, with what they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspector.audit import audit, coverage, rules, the_rule
from inspector.model.snapshot import Snapshot
from inspector.targets.open_file import open_file

LOGS = Path(__file__).parents[2] / "data" / "field" / "logs"


def of_log(name: str) -> Snapshot:
    """The snapshot of a log."""
    with open_file(LOGS / name) as target:
        return target.snapshot  # type: ignore[attr-defined,no-any-return]


def test_every_rule_is_checked_or_needs_something_or_is_of_another_version() -> None:
    for snapshot in (Snapshot("nothing"), of_log("c01_posted_rows_and_q_false_D17.log")):
        found = coverage(snapshot)
        ids = [*found.checked, *(id for id, _ in found.missing), *found.other]
        assert sorted(ids) == sorted(rule.id for rule in rules())
        assert str(found).startswith(f"{len(rules())} rules: {len(found.checked)} checked")


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
