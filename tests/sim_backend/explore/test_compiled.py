"""The compiled search finds what the plain one finds, in real scenarios too; and when it begins."""

from __future__ import annotations

import signal
import sys

import pytest

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.compiled import READY_FROM, Compiler
from sim_backend.explore.model import Action, Model, Property
from sim_backend.explore.search import COMPILE_FROM, Limits, Search
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import started
from sim_backend.scenario.scenario import load


def told(result):
    verdicts = [(each.name, each.verdict, each.moves and len(each.moves)) for each in result.verdicts]
    return result.states, result.transitions, result.depth, result.exhausted, verdicts


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "symmetry", "threads"), [("h-a", False, 1), ("h-a", False, 2), ("two-blocked", True, 2)]
)
def test_scenarios(kernels, name, symmetry, threads):
    scenario = load(name)

    def result(**how):
        machine = BoundedMachine(started(scenario, CURRENT), scenario.bounds)
        return Search(machine.model(), symmetry=symmetry, **how).run()

    plain, compiled = result(compile_from=None), result(compile_from=0, threads=threads)
    assert told(compiled) == told(plain)
    for ours, theirs in zip(compiled.verdicts, plain.verdicts, strict=True):
        assert (ours.moves is None) == (theirs.moves is None)


def counter(most, interrupt_at=None):
    def count(view):
        if view["n"] == interrupt_at:
            signal.raise_signal(signal.SIGINT)
        view["n"] += 1
        return view["n"] < most

    def again(view):
        view["m"] = view["n"] % 7
        return True

    far = Property("far", lambda view: view["n"] < most - 5)
    return Model(lambda key: 0, [Action("count", count), Action("again", again)], [far])


@pytest.mark.thorough
def test_limits_and_interrupts(kernels):
    few = Search(counter(3000), Limits(states=500), compile_from=10).run()
    assert not few.exhausted
    assert few.states >= 500
    all_of_them = Search(counter(300), compile_from=10).run()
    assert all_of_them.exhausted
    assert told(all_of_them) == told(Search(counter(300), compile_from=None).run())
    stopped = Search(counter(300, interrupt_at=250), compile_from=10).run()
    assert stopped.stopped == "interrupted"


def test_without_numba_the_plain_search_goes_on(monkeypatch):
    monkeypatch.setattr("sim_backend.explore.compiled.find_spec", lambda name: None)
    search = Search(counter(100), compile_from=0)
    assert search.run().exhausted
    assert search.compiled is None
    assert search.compiler.missing


def test_a_compiler_that_fails_is_none(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "sim_backend.explore.kernels", raising=False)
    monkeypatch.setattr("sim_backend.explore.compiled.__name__", "nothing_of_that_name")
    compiler = Compiler()
    while not compiler.missing:
        assert not compiler.ready
    assert not compiler.ready
    compiler.close()


@pytest.mark.thorough
def test_another_process_makes_it_ready(kernels, monkeypatch):
    monkeypatch.delitem(sys.modules, "sim_backend.explore.kernels")
    compiler = Compiler()
    assert not compiler.ready
    while not compiler.ready:
        assert not compiler.missing
    compiler.close()


def test_kernels_that_are_there_are_worth_it_sooner(kernels, monkeypatch):
    assert [Compiler().worth(states) for states in (0, READY_FROM, COMPILE_FROM)] == [0, READY_FROM, READY_FROM]
    monkeypatch.delitem(sys.modules, "sim_backend.explore.kernels")
    assert Compiler().worth(COMPILE_FROM) == COMPILE_FROM


def test_a_second_search_has_the_fields_where_the_first_put_them(kernels, monkeypatch):
    search = Search(counter(100), compile_from=0)
    first = search.run()
    monkeypatch.setattr(search, "_arrange", None)
    assert search.run().states == first.states
