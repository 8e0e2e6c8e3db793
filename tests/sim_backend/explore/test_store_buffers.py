"""The explorer on CPUs with store buffers: what it finds, and that a machine does it again."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from sim_backend.explore import bounded, explore
from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.fields import Fields
from sim_backend.explore.paths import moves_to
from sim_backend.explore.properties import PROPERTIES, could_wake, pending
from sim_backend.explore.renaming import renamings
from sim_backend.explore.search import Search
from sim_backend.explore.tracked import DOING, TrackedMachine
from sim_backend.explore.view import Shared, View
from sim_backend.logic.store_buffers import NOBODY
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import History, started
from sim_backend.scenario.bugs import version
from sim_backend.scenario.scenario import load, parse

RESULT = 1
"""Where it is in what an actor does."""
REPAIRED = "current with repair-wake-all"
PLAIN_READ = "current with repair-wake-all, sync-plain-read"
LOST = "no lost wakeup"


def bounded_machine(name, logic=CURRENT, buffers=True):
    scenario = load(name)
    return BoundedMachine(started(scenario, logic, buffers), scenario.bounds)


def searched(name, logic):
    """All states of a scenario with store buffers, and what was found."""
    search = Search(bounded_machine(name, version(logic)).model(PROPERTIES))
    result = search.run()
    assert result.exhausted
    return search, result


def states(search, numbers):
    """Of states: what their keys hold that have a field, but for results, which a machine may keep though nobody reads
    them any more."""
    fields, rows = search.fields, search.states.rows[numbers]
    columns = []
    for field, key in enumerate(fields.keys):
        values = [without_result(key, value) for value in fields.values[field]]
        columns.append([(key, values[number]) for number in fields.extract(rows, field).tolist()])
    return list(zip(*columns, strict=True))


def without_result(key, value):
    """What an actor does, without the result of what it has done last."""
    acts = isinstance(key, tuple) and key[1] == DOING
    return (*value[:RESULT], *value[RESULT + 1 :]) if acts else value


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("logic", "buffers", "broken"),
    [(REPAIRED, False, []), (REPAIRED, True, []), (PLAIN_READ, False, []), (PLAIN_READ, True, [LOST])],
)
def test_a_plain_read_of_on_loses_a_wakeup_only_with_store_buffers(logic, buffers, broken):
    found = explore(load("h-l"), version(logic), store_buffers=buffers)
    assert found.result.exhausted
    assert [verdict.name for verdict in found.result.broken] == broken


@pytest.mark.thorough
def test_a_machine_loses_that_wakeup_as_well():
    found = explore(load("h-l"), version(PLAIN_READ), store_buffers=True)
    (verdict,) = found.result.broken
    history = found.history(verdict)
    events = [str(event) for _, event in history.replay()]
    steps = "nv 0xf2 -> 0xf3", "reads ON; it is clear", "on 0 -> 1", "LAPIC IRR bit 0xf2 0 -> 1"
    places = [next(n for n, event in enumerate(events) if step in event) for step in steps]
    assert places == sorted(places), "the post finds the old NV, though it was stored before ON was read"
    machine = history.at()
    assert machine.state.buffers == [[]]
    assert machine.settle() == 0
    v = machine.vcpu("d1v0")
    assert could_wake(machine, v)
    assert pending(machine, v)


OFFLINE = """
title = "A CPU goes offline while its vCPU halts"
[machine]
cpus = 2
[[domain]]
id = 1
vcpus = 1
[[device]]
bdf = "00:03.0"
vectors = 1
domain = 1
[explore]
blocks = 1
offlines = 1
prelude = ["migrate d1v0 1", "settle"]
"""


@pytest.mark.thorough
def test_a_migration_is_not_left_to_a_switch_that_is_over():
    """Clearing `is_running` has a barrier behind it. Without that the toolstack would wait for ever."""
    found = explore(parse(OFFLINE, "offline"), store_buffers=True)
    assert found.result.exhausted
    assert "nobody waits for ever" not in [verdict.name for verdict in found.result.broken]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["h-l", "two-blocked"])
def test_a_machine_gets_to_every_state_that_is_found(name):
    search, _ = searched(name, PLAIN_READ)
    chance = np.random.default_rng(0)
    waiting = 0
    numbers = chance.permutation(search.states.count)[:25]
    for number, state in zip(numbers.tolist(), states(search, numbers), strict=True):
        moves = tuple(chain.from_iterable(moves_to(search, number)))
        machine = History(load(name), version(PLAIN_READ), moves, store_buffers=True).at()
        again = TrackedMachine(machine)
        waiting += any(machine.state.buffers)
        for key, value in state:
            if not (isinstance(key, tuple) and key[0] in ("left", "posted")):
                assert without_result(key, again.first(key)) == value
    assert waiting > 5


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "logic"), [("h-l", REPAIRED), ("h-l", PLAIN_READ), ("two-blocked", REPAIRED)])
def test_steps_that_are_done_at_once_hide_nothing(monkeypatch, name, logic):
    search, result = searched(name, logic)
    monkeypatch.setattr(bounded, "MOST_AT_ONCE", 0)
    each, slowly = searched(name, logic)
    assert [(v.name, v.verdict) for v in result.verdicts] == [(v.name, v.verdict) for v in slowly.verdicts]
    assert result.states < slowly.states
    assert changed(search, all_of(search)) <= changed(each, all_of(each))
    assert changed(search, at_rest(search)) == changed(each, at_rest(each))


def all_of(search):
    return np.arange(search.states.count)


def at_rest(search):
    """The states in which nothing happens of itself."""
    resting = search._successors(all_of(search)).resting
    assert resting.size
    return resting


def changed(search, numbers):
    """States, each as what differs in it from the first one."""
    first = {(key, without_result(key, search.model.initial(key))) for key in search.fields.keys}
    return {frozenset(state) - first for state in states(search, numbers)}


def test_a_step_among_its_own_looks_at_the_buffer_and_no_more():
    machine = bounded_machine("h-l").machine
    view = View(Fields(machine.first))
    view.show(np.zeros(1, np.uint64))
    machine.show(view)
    memory, place = machine.memory, machine.state.message_buffer
    memory.cpu = 0
    view.own = {("machine", "buffers", 0)}
    assert memory.u32(place) != 5
    machine.memory.fence()
    with pytest.raises(Shared):
        memory.set_u32(place, 5)
    view.own = None
    memory.set_u32(place, 5)
    view.own = {("machine", "buffers", 0)}
    assert memory.u32(place) == 5
    with pytest.raises(Shared):
        machine.memory.fence()
    assert machine.state.buffers[0] == [(place, 4, 5)]
    view.own = None
    machine.memory.fence()
    memory.cpu = NOBODY
    assert (memory.u32(place), machine.state.buffers[0]) == (5, [])


@pytest.mark.parametrize("buffers", [False, True])
def test_the_buffers_are_actors_and_nothing_is_renamed(buffers):
    scenario = bounded_machine("two-blocked", buffers=buffers)
    machine = scenario.machine
    drains = [f"store buffer of CPU {cpu}" for cpu in range(len(machine.cpus))] if buffers else []
    actions = [action for action in scenario.model().actions if action.name.startswith("store buffer")]
    assert [action.name for action in actions] == drains
    assert all(action.progress for action in actions)
    assert not (buffers and renamings(machine, scenario.bounds))


def test_who_has_no_buffers_pays_nothing():
    search = Search(bounded_machine("h-l", buffers=False).model(PROPERTIES))
    search.run()
    assert not any(isinstance(key, tuple) and key[0] == "buffer" for key in search.fields.keys)
