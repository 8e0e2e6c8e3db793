"""`vtdpi coverage`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TRACE = Path(__file__).parents[2] / "data/traces/xen-4.20.4-storm.jsonl"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first stores of a real trace."""
    path = tmp_path_factory.mktemp("trace") / "short.jsonl"
    path.write_text("".join(TRACE.read_text().splitlines(keepends=True)[:41]))
    return path


def test_the_same_in_words_and_as_json(run, short):
    ran = run("coverage", short, "--json")
    document = ran.json
    assert (ran.status, document["change_count"], document["accepted_count"], document["version"]) == (
        0,
        40,
        40,
        "current",
    )
    assert "stores" not in document or document["stores"] is None
    printed = run("coverage", short)
    assert printed.status == 0
    for each in document["steps"]:
        assert each["step_name"] in printed.out


def test_the_stores_to_a_vcpu_as_well(run, short):
    stores = run("coverage", short, "--stores", "d1v0", "--json").json["stores"]
    told = [json.loads(line) for line in short.read_text().splitlines()[1:]]
    assert stores
    assert stores == [hit for hit in told if hit["vcpu"] == "d1v0"][-len(stores) :]


def test_another_logic(run, short):
    assert run("coverage", short, "--version", "current with no-recheck", "--json").json["version"] == (
        "current with no-recheck"
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("none.jsonl",), 3, "none.jsonl cannot be read: No such file or directory"),
        (("/",), 3, "/ cannot be read: Is a directory"),
        (("/dev/zero",), 3, "/dev/zero has more than 512 MiB"),
        ((__file__,), 3, "is no trace"),
        ((TRACE, "--version", "9.9"), 2, "no version '9.9'"),
        ((TRACE, "--stores", "d7v7"), 2, "no store to d7v7"),
        ((), 2, "required: TRACE"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(run, words, status, said):
    ran = run("coverage", *words)
    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err.splitlines()[-1]


def test_a_trace_that_is_no_text_is_one_line(run, tmp_path):
    path = tmp_path / "noise"
    path.write_bytes(bytes(range(256)) * 4)
    ran = run("coverage", path)
    assert (ran.status, ran.err.count("\n")) == (3, 1)
