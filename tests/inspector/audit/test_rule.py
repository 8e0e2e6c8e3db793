"""What a rule makes of what its check found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.audit.rule import BUG, INFO, RULES, WARNING, Found, Rule
from inspector.model.snapshot import Snapshot


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
