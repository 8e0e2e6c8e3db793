"""`vtdpi explain`, without a target."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("thing", "says"), [("D5", "stranded-vector"), ("stranded-vector", "D5"), ("S8", "blocked"), ("H-A", "H-A")]
)
def test_a_thing(run, thing, says):
    ran = run("explain", thing)
    assert ran.status == 0
    assert says in ran.out
    assert run("explain", thing, "--json").json["schema"].startswith("vtdpi/explain/")


def test_without_one_all_are_listed(run):
    listed = run("explain").out
    assert all(name in listed for name in ("D5", "S8"))


def test_nothing_of_that_name(run):
    ran = run("explain", "D99")
    assert (ran.status, ran.out) == (2, "")
    assert "D99" in ran.err
