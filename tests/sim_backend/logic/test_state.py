"""A new part of the state is a part of everything: copy, digest, checkpoint, search and symmetry, or it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.search import Search
from sim_backend.logic import cpu
from sim_backend.logic.kinds import NUMBER, PLACE, ByCpu, ListOf, Number, held, held_fields
from sim_backend.logic.pi import pi_wakeup_interrupt, wakeup
from sim_backend.logic.program import FIRST, FUNCTIONS
from sim_backend.logic.state import State
from sim_backend.machine.checkpoint import read
from sim_backend.machine.history import started
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@dataclass(slots=True, eq=False)
class Wider(State):
    """A state with one list more: by CPU, who was woken there."""

    woken: list[list[int]] = held(ByCpu(ListOf(PLACE)))

    @classmethod
    def switched_on(cls, cpus, units, store_buffers):
        made = super(Wider, cls).switched_on(cpus, units, store_buffers)
        made.woken = [[] for _ in range(cpus)]
        return made


@dataclass(slots=True, eq=False)
class Undeclared(State):
    """A state with a list that nobody said anything about."""

    woken: list[int] = field(default_factory=list)


@pytest.fixture
def noting():
    """The wakeup interrupt notes whom it takes off its list, where the state has a place for it; at most three."""
    functions = FUNCTIONS[pi_wakeup_interrupt.number]
    unlist = functions[wakeup.unlist_sleeper.pc]

    def noted(w, a, f):
        woken = w.state.woken[a.cpu]
        woken[:] = [*woken, f[FIRST] - w.o.node][-3:]
        return unlist(w, a, f)

    functions[wakeup.unlist_sleeper.pc] = noted
    yield
    functions[wakeup.unlist_sleeper.pc] = unlist


@pytest.fixture
def machine(noting):
    machine = Machine(load("wakeup-storm"), seed=3, state=Wider)
    while not any(machine.state.woken):
        machine.run(10)
    return machine


def test_a_copy_has_its_own(machine):
    other = machine.copy()
    assert other.state.woken == machine.state.woken
    assert other.digest() == machine.digest()
    other.state.woken[0].append(1)
    assert other.state.woken != machine.state.woken


def test_a_digest_tells_it(machine):
    other = machine.copy()
    other.state.woken[-1] = [0x1000]
    assert other.digest() != machine.digest()


def test_a_checkpoint_keeps_it(machine, tmp_path):
    machine.save(tmp_path / "machine")
    again = read(tmp_path / "machine", Wider)
    assert again.state.woken == machine.state.woken
    machine.run(2000)
    again.run(2000)
    assert (again.state.woken, again.digest()) == (machine.state.woken, machine.digest())


def test_a_checkpoint_of_another_state_is_refused(machine, tmp_path):
    machine.save(tmp_path / "machine")
    with pytest.raises(Exception, match="woken") as error:
        Machine.load(tmp_path / "machine")
    assert "\n" not in str(error.value)


def first_machine(state):
    scenario = load("two-blocked")
    return scenario, started(scenario, Machine(scenario).version, state=state)


def test_a_search_has_it_and_is_the_same_each_time(noting):
    scenario, machine = first_machine(Wider)
    found = []
    for _ in range(3):
        search = Search(BoundedMachine(machine, scenario.bounds).model())
        result = search.run()
        assert result.exhausted
        found.append((result.states, result.transitions, result.depth))
    assert len(set(found)) == 1
    (field,) = [number for number, key in enumerate(search.fields.keys) if key == ("machine", "woken")]
    seen = {v for queues in search.fields.values[field] for queue in queues for v in queue}
    assert seen == set(machine.names)


@pytest.mark.thorough
def test_with_symmetry_as_many_kinds_of_states_as_without(noting):
    """Who was woken is renamed with the rest: each state has its likes among all that are found without symmetry."""
    scenario, machine = first_machine(Wider)
    everything = Search(BoundedMachine(machine, scenario.bounds).model(), symmetry=False)
    assert everything.run().exhausted
    kinds = Search(BoundedMachine(machine, scenario.bounds).model())
    assert kinds.run().exhausted
    assert kinds.renaming.permutations
    assert kinds.states.count < everything.states.count
    renamings = kinds.renaming.permutations
    made = set(_states(kinds))
    for each in renamings:
        made |= set(_states(kinds, each))
    # The first state may become one that cannot be reached: so what is made may be more.
    assert made >= set(_states(everything))


def _states(search, renaming=None):
    """Each state as what its keys hold that is not their first value; or what a renaming makes of it."""
    rows = search.states.rows[: search.states.count]
    keys, columns = [], []
    for number, key in enumerate(search.fields.keys):
        values, target = search.fields.values[number], key
        if renaming is not None:
            values, target = [renaming.value(key, value) for value in values], renaming.key(key)
        keys.append(target)
        columns.append([values[place] for place in search.fields.extract(rows, number).tolist()])
    first = [search.model.initial(key) for key in keys]
    for values in zip(*columns, strict=True):
        yield frozenset((key, value) for key, value, old in zip(keys, values, first, strict=True) if value != old)


def test_a_field_that_is_not_declared_is_refused():
    with pytest.raises(TypeError, match=r"Undeclared\.woken has no kind"):
        Machine(load("idle"), state=Undeclared)


def test_a_step_that_uses_a_list_that_is_nowhere_fails_at_once(noting):
    machine = Machine(load("wakeup-storm"), seed=3)
    with pytest.raises(AttributeError, match="woken"):
        machine.run(20_000)


@pytest.mark.parametrize("of", [lambda m: m, lambda m: m.state, lambda m: m.context, lambda m: m.cpus[0]])
def test_an_unknown_attribute_is_refused(of):
    machine = Machine(load("idle"))
    with pytest.raises(AttributeError):
        of(machine).woken = []
    with pytest.raises(AttributeError):
        of(BoundedMachine(machine, load("idle").bounds).machine).woken = []


def test_every_field_is_in_every_part():
    """What is left out of one says so where it is declared."""
    names = [each.name for each in held_fields(State)]
    assert len(names) == len(set(names)) == len(State.__slots__)
    assert {each.name for each in held_fields(State) if not each.saved} == set()
    assert {each.name for each in held_fields(State) if not each.digested} == {"steps"}
    assert {each.name for each in held_fields(State) if not each.searched} == {
        *("steps", "draw", "random", "background", "reserved_first", "status", "message_buffer", "actions"),
    }


def test_the_names_of_a_procedures_variables_mean_nothing(monkeypatch):
    """What they hold is declared: two of the wakeup interrupt's have other names, and nothing is different."""
    before = _found()
    assert pi_wakeup_interrupt.variables == ("node", "next")
    monkeypatch.setattr(pi_wakeup_interrupt, "variables", ("sleeper", "whoever"))
    for procedure in (cpu.schedule, cpu.context_switch):
        monkeypatch.setattr(procedure, "variables", tuple(f"x{n}" for n in range(len(procedure.variables))))
    assert _found() == before


def _found():
    scenario, machine = first_machine(State)
    search = Search(BoundedMachine(machine, scenario.bounds).model())
    result = search.run()
    assert search.renaming.permutations
    return result.states, result.transitions, result.depth, result.verdicts


def test_a_variable_of_no_kind_is_an_error():
    with pytest.raises(AttributeError):
        type(pi_wakeup_interrupt)("a test's own", v="address")
    assert isinstance(NUMBER, Number)
