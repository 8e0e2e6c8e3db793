"""`explain` knows every short name that vtdpi prints, with a target and without."""

from __future__ import annotations

import pytest

from inspector.analysis.glossary import entries
from inspector.analysis.situation import SITUATIONS
from inspector.audit import rules


def test_a_name_of_each_kind(run):
    for name, kind in (("S8", "situation"), ("H-A", "hazard"), ("ZOO-03", "mended bug"), ("zoo-03", "mended bug")):
        found = run("explain", name, "--json").json
        assert (found["term"], found["kind"]) == (name.upper(), kind)
        assert len(found["explanation"]) > 80
    assert run("explain", "D5").out == run("sim", "explain", "stranded-vector").out
    assert "ON set" in run("sim", "-c", "explain s8").out


def test_a_hazard_is_one_of_the_model(run):
    """None is a confirmed defect of Xen, and none is told as one; H-J is no hazard of the logic."""
    for entry in entries().values():
        if entry.kind == "hazard" and entry.name != "H-J":
            assert "in the model" in entry.versions
            assert "in the model" in run("explain", entry.name).out


def test_a_field(run):
    (pid,) = run("explain", "ndst", "--json").json["records"]
    assert (pid["bits"], pid["source"]) == ("319:288", "VT-d 9.11")
    assert {each["record"] for each in run("explain", "vector", "--json").json["records"]} >= {"remapped", "posted"}


def test_everything_has_a_name(run):
    every = run("explain", "--json").json
    assert [each["rule"] for each in every["rules"]] == [rule.id for rule in rules()]
    assert {each["term"] for each in every["terms"]} >= {name for name in SITUATIONS if name[0] == "S"}


@pytest.mark.parametrize("words", [("explain", "bogus"), ("sim", "explain", "bogus")])
def test_what_nothing_is_called(run, words):
    ran = run(*words)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "nothing is called 'bogus'" in ran.err


def test_explain(run, golden):
    assert "stranded-vector" in run("dump", golden("two-in-guest"), "explain").out
    text = run("dump", golden("two-in-guest"), "explain", "stranded-vector").out
    assert "Look next at" in text
    assert "c112b5f50232" in text
    assert run("dump", golden("two-in-guest"), "explain", "D99").status == 2


def test_a_word_is_told_with_the_field_of_that_name(run):
    found = run("explain", "pir", "--json").json
    assert (found["kind"], found["field"], found["records"][0]["bits"]) == ("word", "pir", "255:0")
    text = run("explain", "PIR").out
    assert text.index("256 bits of the descriptor") < text.index("RECORD")


def test_a_column_with_two_words_and_a_fault_reason(run):
    assert "(column)" in run("explain", "taken by").out
    assert run("explain", "0x26", "--json").json["kind"] == "fault reason"


def test_what_is_nearly_a_name_is_guessed(run):
    assert "did you mean VERDICT or" in run("explain", "verdct").err
