"""The glossary names what the rest of vtdpi names, and nothing twice."""

from __future__ import annotations

import doctest
import re

from inspector.analysis import glossary
from inspector.analysis.situation import SITUATIONS
from inspector.audit import rules
from sim_backend.scenario.bugs import BUGS


def test_every_situation_and_every_bug_of_the_simulation_is_there():
    names = set(glossary.entries())
    assert {name for name in names if name[0] == "S"} == set(SITUATIONS) - {"between"}
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
    for entry in glossary.entries().values():
        assert entry.text.endswith(".") or "Try: vtdpi explore" in entry.text
        assert not entry.title.endswith(".")
    assert glossary.entry("nothing") is None
