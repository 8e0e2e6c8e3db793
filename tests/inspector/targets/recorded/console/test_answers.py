"""Sorting lines: boots, keys, answers, and which one counts."""

from __future__ import annotations

from inspector.targets.recorded.console import key_msi, key_vtd
from inspector.targets.recorded.console.answers import KEYS, boots, chosen, wanted
from inspector.targets.recorded.console.key_msi import MsiFacts
from inspector.targets.recorded.console.key_vtd import Tables, UnitFacts

from .printing import msi, numbered, vtd

ROW = MsiFacts(25, "MSI", 0x62, False, False, False, 0, True, False, False, False)
V = vtd((4, 20), Tables([UnitFacts(0, 256, False, True, True), UnitFacts(1, 256, False, True, True)]))


def test_a_version_line_begins_a_boot_unless_a_key_asked_for_it() -> None:
    lines = [
        *V,
        "Xen version 4.17.1 (x)",
        *V,
        "'?' pressed -> showing system information",
        "Xen version 4.17.1 (x)",
        *V,
    ]
    first, second = boots(numbered(lines))
    assert (len(first.answers["V"]), len(second.answers["V"])) == (1, 2)
    assert first.keys == ["V"]


def test_the_last_answer_counts_and_one_that_is_cut_does_not_replace_a_whole_one() -> None:
    (boot,) = boots(numbered([*msi((4, 20), [ROW]), *msi((4, 20), [])]))
    facts, notes, problems = chosen(key_msi.KEY, boot.answers["M"])
    assert [row.irq for row in facts.rows] == [25]
    assert "the answer to M at line 3 is not whole" in notes[0]
    assert "the one at line 1" in notes[0]
    assert problems == []


def test_an_answer_that_is_cut_and_the_only_one_is_used_and_told() -> None:
    (boot,) = boots(numbered(V[2:]))
    facts, notes, problems = chosen(key_vtd.KEY, boot.answers["V"])
    assert [unit.index for unit in facts.units] == [1]
    assert not notes + problems
    (boot,) = boots(numbered(msi((4, 20), [ROW])[1:]))
    facts_of_m, notes, problems = chosen(key_msi.KEY, boot.answers["M"])
    assert len(facts_of_m.rows) == 1
    assert "its beginning is not in the log" in problems[0]


def test_lines_of_no_key_are_not_wanted() -> None:
    for line in ("uart interrupt taking more than 4ms, switched to polling", "", "hello", "Freed 1024kB unused BSS"):
        assert not wanted(line)
    assert len({key.name for key in KEYS}) == len(KEYS)
