"""An audit as a Python program has it."""

from __future__ import annotations

import dataclasses

import pytest
import vtdpi

from inspector.model.absence import UNREADABLE, Absence


def test_the_same_as_the_command_s(golden, run):
    with vtdpi.open(golden("lost-wakeup")) as target:
        found = target.audit()
    printed = run("dump", golden("lost-wakeup"), "audit", "--json").json["findings"]
    assert [finding.document() for finding in found] == printed
    assert len(found) == len(printed)
    assert [bug.rule for bug in found.bugs] == ["D5"]
    assert "bug D5 d" in str(found)
    assert f"{len(found)} findings, 1 bugs" in found._repr_html_()


def test_a_suspicion_that_stays_is_a_bug():
    """A simulated machine that stands still: whatever is only suspected there is confirmed by the same once more."""
    with vtdpi.sim("one-device", steps=4321) as target:
        snapshot = target.snapshot()
    once, twice = vtdpi.audit(snapshot), vtdpi.audit(snapshot, snapshot)
    suspected = {(f.rule, f.subject) for f in once if f.suspicion}
    assert {(f.rule, f.subject) for f in twice.bugs} == {(f.rule, f.subject) for f in once.bugs} | suspected
    assert str(vtdpi.Audit(())) == "nothing wrong found"


def test_what_could_not_be_read_is_told(golden):
    with vtdpi.open(golden("lost-wakeup")) as target:
        snapshot = target.snapshot()
    damaged = dataclasses.replace(snapshot, absent=(Absence(UNREADABLE, "vcpus", "a page is not there"),))
    (problem,) = vtdpi.audit(damaged).problems
    assert "a page is not there" in problem
    with pytest.raises(vtdpi.UsageError, match="no rule 'x'"):
        vtdpi.audit(snapshot, rule="x")


def test_bugs_can_be_asserted_away_and_a_suspicion_is_none(golden):
    with vtdpi.open(golden("lost-wakeup")) as target:
        with pytest.raises(vtdpi.BugsFound, match="1 bug found\nD5 d1v2: is blocked") as caught:
            target.assert_no_bugs()
        target.assert_no_bugs(rule="D1")
    assert caught.value.audit.bugs[0].subject == "d1v2"
    with vtdpi.open(golden("linux-guest-hung")) as target:
        assert target.audit().warnings
        target.assert_no_bugs()
    vtdpi.Audit(()).assert_no_bugs()
