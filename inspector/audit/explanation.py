"""A finding with what its rule means, for a reader who does not know the rule."""

from __future__ import annotations

from inspector.analysis.report import Explained
from inspector.audit import Finding, the_rule


def explained(finding: Finding) -> Explained:
    """A finding with what its rule says."""
    rule = the_rule(finding.rule)
    explanation = f"{rule.title[:1].upper()}{rule.title[1:]}.\n\n{rule.explanation}"
    return Explained(finding.rule, rule.name, finding.severity, finding.subject, finding.message, explanation)
