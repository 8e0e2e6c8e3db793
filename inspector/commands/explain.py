"""The command `explain`."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.audit import Rule, rules, the_rule
from inspector.base.arguments import argument
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import RuleName
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Block, Table, Text


@dataclass(frozen=True)
class Arguments:
    """What it takes."""

    rule: RuleName | None = argument("its id or name", None)


@command(
    Arguments,
    Example("dump FILE", "explain", "all rules"),
    Example("dump FILE", "explain D5", "one, by id or name"),
)
def explain(inspection: Inspection, arguments: Arguments) -> Answer:
    """What a rule of the audit means, how it comes about, known bugs of the kind, and what to look at next."""
    if arguments.rule:
        return _one(the_rule(arguments.rule))
    every = rules()
    document = {"rules": [{"rule": r.id, "name": r.name, "severity": r.severity, "title": r.title} for r in every]}
    rows = [(r.id, r.name, r.severity, r.title) for r in every]
    return Answer(document, [Table(("RULE", "NAME", "SEVERITY", "WHAT"), rows)])


def _one(rule: Rule) -> Answer:
    document = {
        "rule": rule.id,
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity,
        "versions": rule.versions,
        "explanation": rule.explanation,
    }
    head = f"{rule.id} {rule.name}: {rule.title} ({rule.severity}; {rule.versions})"
    paragraphs = (" ".join(paragraph.split()) for paragraph in rule.explanation.split("\n\n"))
    blocks: list[Block] = [Text(head), *map(Text, paragraphs)]
    return Answer(document, blocks)
