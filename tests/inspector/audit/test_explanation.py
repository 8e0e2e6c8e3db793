"""A finding with what its rule means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.audit import audit, rules
from inspector.audit.explanation import explained
from inspector.audit.rule import Finding
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.targets.open_file import open_file


def test_a_finding_of_a_real_capture(golden):
    with open_file(golden("lost-wakeup")) as target:
        (finding,) = audit(Inspection(target).snapshot)
    told = explained(finding)
    assert (told.rule, told.severity, told.subject, told.message) == (
        finding.rule,
        finding.severity,
        finding.subject,
        finding.message,
    )
    assert told.name == "stranded-vector"
    title, _, text = told.explanation.partition(".\n\n")
    assert title == "A posted vector that nothing will deliver"
    assert text.startswith("PIR holds a vector, ON=0 and SN=0")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_every_rule_explains_its_findings(rule):
    told = explained(Finding(rule.id, "warning", "machine", "a message"))
    title, _, text = told.explanation.partition("\n\n")
    assert (told.rule, told.name, told.severity) == (rule.id, rule.name, "warning")
    # Only its first letter changes: names of Xen's keep theirs.
    assert title == rule.title[0].upper() + rule.title[1:] + "."
    assert text == rule.explanation


def test_a_finding_of_a_rule_that_is_not_there():
    """One of another package, in a document of a machine that has it."""
    with pytest.raises(UsageError, match="no rule 'E1'"):
        explained(replace(Finding("D1", "bug", "d1v0", "x"), rule="E1"))
