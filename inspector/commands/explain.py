"""What a rule of the audit means, how it comes about, known bugs of the kind, and what to look at next.

vtdpi dump FILE explain            all rules
vtdpi dump FILE explain D5         one, by id or name
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.audit import Rule, rules, the_rule
from inspector.capture.inspection import Inspection
from inspector.model.answer import Answer, Block, Table, Text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("rule", nargs="?", metavar="RULE", help="its id or name")


def run(inspection: Inspection, options: Namespace) -> Answer:
    if options.rule:
        return _one(the_rule(options.rule))
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
