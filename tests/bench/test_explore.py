"""How fast bounded scenarios are explored on one core, and beside it SPIN, which is given what was learnt. Run with -s
to see the tables; timings are printed, not judged. Seconds are CPU time, for other jobs may run.

The largest are run by hand, with `--full-size`: half a minute for two-by-two, and with two blocks some minutes and
2.5 GB: more than 10^8 states.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from sim_backend.explore import explore
from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.search import Search
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import started
from sim_backend.scenario.scenario import load, parse

SCENARIO = """
[machine]
cpus = 2
[[domain]]
id = 1
vcpus = {vcpus}
[[device]]
bdf = "00:03.0"
vectors = 1
domain = 1
[explore]
posts = 1
blocks = 1
preemptions = 1
{more}
"""
HEAD = f"{'':28} {'states':>9} {'seconds':>8} {'states/s':>9} {'bytes/state':>11}"


class Timed(Search):
    """A search that notes the time that is spent in the model's own functions: learning."""

    learning = 0.0

    def _act(self, number, view):
        start = time.process_time()
        try:
            return super()._act(number, view)
        finally:
            self.learning += time.process_time() - start


def explored(vcpus, more=""):
    """A search of all states, its result, and the CPU time that it took."""
    scenario = parse(SCENARIO.format(vcpus=vcpus, more=more), "bench")
    model = BoundedMachine(started(scenario, CURRENT), scenario.bounds).model()
    search = Timed(model, symmetry=False)
    start = time.process_time()
    result = search.run()
    assert result.exhausted
    return search, result, time.process_time() - start


def line(what, states, seconds, memory):
    return f"{what:28} {states:9} {seconds:8.2f} {states / seconds:9.0f} {memory / states:11.0f}"


def test_growth_with_vcpus():
    print(f"\n{HEAD}")
    before = 0
    for vcpus in (1, 2, 3, 4):
        _, result, seconds = explored(vcpus)
        print(line(f"{vcpus} vCPUs on 2 CPUs", result.states, seconds, result.bytes_per_state * result.states))
        assert result.states > before
        before = result.states


def test_a_million_states_beside_spin(spin):
    from sim_backend.explore import compiled

    compiled.warm_up()
    search, result, seconds = explored(2, "migrations = 1")
    states = result.states
    print(f"\n{HEAD}")
    print(line("vtdpi, learning included", states, seconds, search.states.bytes))
    print(f"  of that {search.learning:.2f} s for {result.runs} runs of an action; {result.transitions} transitions")
    begun = time.process_time()
    search.run()
    again = time.process_time() - begun
    print(line("vtdpi, all learnt before", states, again, search.states.bytes))
    begun = time.monotonic()
    search.threads = 2
    search.run()
    print(line("  with two threads (wall)", states, time.monotonic() - begun, search.states.bytes))
    search.threads, search.compile_from = 1, None
    begun = time.process_time()
    search.run()
    print(line("  without compiled code", states, time.process_time() - begun, search.states.bytes))
    for what, options in {"SPIN, breadth first": ("-O2", "-DBFS"), "SPIN, depth first": ("-O2",)}.items():
        found = spin(search, *options)
        ratio = f"vtdpi {found.seconds / seconds:5.2f} and {found.seconds / again:5.2f} times as fast"
        print(line(what, found.states, found.seconds, found.memory), ratio)
        assert (found.states, found.transitions - 1) == (states, result.transitions)
    assert states > 1_000_000


def test_three_vcpus_on_two_cpus():
    """What holds and what breaks in the model, all states visited."""
    begun = time.process_time()
    result = explore(load("three-on-two")).result
    seconds = time.process_time() - begun
    print(f"\n{HEAD}\n{line('three-on-two', result.states, seconds, result.bytes_per_state * result.states)}")
    assert result.exhausted
    assert {verdict.name for verdict in result.broken} == {"no lost wakeup", "no stranded interrupt"}
    assert result.states > 700_000


@pytest.mark.parametrize(
    ("more", "least"),
    [({}, 32_450_480), ({"blocks": 2}, 145_504_314)],
    ids=["as it is", "two blocks"],
)
def test_two_by_two(full_size, more, least):
    if not full_size:
        pytest.skip("takes minutes: --full-size")
    scenario = load("two-by-two")
    scenario = replace(scenario, bounds=scenario.bounds.but(**more))
    begun, wall = time.process_time(), time.monotonic()
    result = explore(scenario, threads=2).result
    seconds, wall = time.process_time() - begun, time.monotonic() - wall
    print(f"\n{HEAD}\n{line('two-by-two', result.states, seconds, result.bytes_per_state * result.states)}")
    print(f"  {more or 'as it is'}; two threads: {wall:.0f} s, in which they were at work for {seconds:.0f} s")
    assert result.exhausted
    assert result.states >= least
    assert {verdict.name for verdict in result.broken} == {"no lost wakeup", "no stranded interrupt"}
