"""All rules together: each has its tests, and none of them has anything against a sound machine."""

from __future__ import annotations

from pathlib import Path

from inspector.audit import rules
from inspector.audit.rule import RULES


def test_a_sound_machine_breaks_none(machine):
    assert machine.found() == {}
    assert machine.snapshot().problems == ()


def test_every_rule_is_explained_and_tested_in_this_folder():
    source = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    for rule in rules():
        assert f"def test_{rule.id.lower()}_" in source, f"no test of {rule.id}"
        assert "Look next at" in rule.explanation or rule.id == "D28"
    assert [rule.id for rule in rules()] == [f"D{number}" for number in range(1, 55)]
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
