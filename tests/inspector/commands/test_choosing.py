"""Rows and columns that one asks for, of text, JSON and forms for other programs."""

from __future__ import annotations

import csv
import io
import json

import pytest

from inspector.base.arguments import BadWord
from inspector.commands.choosing import read_condition

SIM = ("sim", "--scenario", "wakeup-storm")


@pytest.mark.parametrize(
    ("condition", "cell", "holds"),
    [
        ("vector==0x62", "0x62", True),
        ("vector==98", "0x62 (0x30 in guest)", True),
        ("vector != 0x62", "0x63", True),
        ("cpu>=2", "CPU 2", True),
        ("cpu<2", "-", False),
        ("state==blocked", "blocked", True),
        ("situation=~^S8", "S8 blocked", True),
        ("taken by == 'd0'", "d0", True),
    ],
)
def test_what_a_condition_holds_for(condition, cell, holds):
    assert read_condition(condition).holds(cell) is holds


@pytest.mark.parametrize("word", ["", "vector", "==1", "x=~("])
def test_what_is_no_condition(word):
    with pytest.raises(BadWord):
        read_condition(word)


def test_rows_of_text_and_of_json_are_the_same(run):
    words = (*SIM, "irt", "--where", "format==posted", "--sort=-vector")
    rows = [line.split() for line in run(*words).out.splitlines() if line.strip().startswith("0x")]
    entries = run(*words, "--json").json["units"][0]["entries"]
    assert [int(row[0], 16) for row in rows] == [entry["index"] for entry in entries]
    vectors = [entry["vector"] for entry in entries]
    assert len(vectors) > 1
    assert vectors == sorted(vectors, reverse=True)
    assert {entry["format"] for entry in entries} == {"posted"}
    lines = [json.loads(line) for line in run(*words, "--format", "jsonl").out.splitlines()]
    assert [line["index"] for line in lines] == [entry["index"] for entry in entries]


def test_columns_in_every_form(run):
    rows = run(*SIM, "vcpus", "d1", "--columns", "vcpu,nv").out.splitlines()
    assert rows[0].split() == ["VCPU", "NV"]
    assert {row.split()[0][:2] for row in rows[1:]} == {"d1"}
    read = list(csv.reader(io.StringIO(run(*SIM, "vcpus", "d1", "--columns", "vcpu,nv", "--format", "csv").out)))
    assert read[0] == ["VCPU", "NV"]
    assert len(read) == len(rows)
    table = run(*SIM, "vcpus", "d1", "--columns", "vcpu,nv", "--format", "markdown").out.splitlines()
    assert table[:2] == ["| VCPU | NV |", "| --- | --- |"]
    upright = run(*SIM, "vcpus", "d1v0", "--format", "vertical").out.splitlines()
    assert upright[0].split() == ["VCPU", "d1v0"]


def test_a_column_that_is_not_there_is_told_with_those_that_are(run):
    ran = run(*SIM, "irt", "--where", "nix==1")
    assert (ran.status, ran.out) == (2, "")
    assert "no column 'nix'; there are INDEX, FORMAT, VECTOR," in ran.err
    assert run(*SIM, "pi", "d1v0", "--columns", "nix").status == 2


def test_what_has_no_table_is_in_no_form_of_one(run):
    assert run(*SIM, "irqs", "--cpu", "99", "--format", "csv").status == 2
