"""The glossary names what the rest of vtdpi names, and nothing twice."""

from __future__ import annotations

import doctest
import re

import vtdpi

from inspector.analysis import glossary
from inspector.analysis.situation import SITUATIONS
from inspector.audit import rules
from inspector.model.snapshot import NOT_KNOWN
from inspector.xen.domains import RUNSTATES
from sim_backend.scenario.bugs import BUGS
from structs.faults import REASONS


def test_every_situation_and_every_bug_of_the_simulation_is_there():
    names = set(glossary.entries())
    assert {name for name in names if name[0] in "SK"} == set(SITUATIONS) - {"between"}
    assert names >= {name for name in BUGS if name.startswith("ZOO-")}


def test_every_hazard_that_can_be_explored_is_there_and_says_how():
    from importlib.resources import files

    folder = files("sim_backend").joinpath("scenario", "bundled", "explore")
    hazards = {entry.name[:-5] for entry in folder.iterdir() if entry.name.startswith("h-")}
    assert hazards
    for name in hazards:
        assert f"Try: vtdpi explore {name}" in glossary.entry(name).text


def test_the_rules_that_it_names_exist():
    ids = {rule.id for rule in rules()}
    named = {id for entry in glossary.entries().values() for id in re.findall(r"\bD\d+\b", entry.text)}
    assert len(named) > 10
    assert named <= ids


def test_each_is_told_in_sentences():
    assert doctest.testmod(glossary).failed == 0
    for entry in (*glossary.entries().values(), *glossary.words().values()):
        assert entry.text.endswith(".") or "Try: vtdpi explore" in entry.text
        assert not entry.title.endswith(".")
    assert glossary.entry("nothing") is None


def test_no_word_has_another_s_name_and_each_has_a_kind():
    ids = {rule.id for rule in rules()}
    assert not set(glossary.words()) & (set(glossary.entries()) | ids)
    assert {entry.kind for entry in glossary.words().values()} == set(glossary.WORD_KINDS)
    assert all(name == name.upper() for name in glossary.words())


LINES = (
    *("info", "irt", "irte 0x18", "vcpus", "pi d1v0", "blocked", "irqs", "cpus", "audit", "explain", "regs", "queue"),
    *("dmar", "ioapic"),
)


def test_every_column_of_a_machine_s_tables_is_told():
    with vtdpi.sim("idle", steps=300) as target:
        answers = [target.run(line) for line in LINES]
    tables = [block for answer in answers for block in answer.blocks if isinstance(block, vtdpi.Table)]
    assert {column for table in tables for column in table.columns} - set(glossary.words()) == set()


def test_a_fault_reason_goes_by_its_number():
    for code, reason in REASONS.items():
        found = glossary.entry(f"{code:#x}")
        assert (found.name, found.title) == (f"{code:#04x}", reason.text)
    assert "FPD=1 in the entry keeps it from being recorded" in glossary.entry("0X22").text
    assert "whatever the entry's FPD" in glossary.entry("0x21").text
    assert glossary.entry("0x1").text.startswith("A remapping unit refused DMA. `faults`")
    assert glossary.entry("0xee") is None
    assert glossary.entry("0xgg") is None


def test_the_run_states_are_told():
    for state in (*RUNSTATES.values(), NOT_KNOWN):
        assert glossary.entry(state).kind == "run state"
