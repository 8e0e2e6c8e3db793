"""Histories: a run told as moves gives the same machine again; in a file too; what is none is refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim_backend.layout.config import LayoutConfig
from sim_backend.logic.versions import CURRENT, VERSIONS
from sim_backend.logic.workload import Drawn
from sim_backend.machine.environment import ORDERS, orders
from sim_backend.machine.history import History, Move, parse, read, started
from sim_backend.memory.errors import SimError
from sim_backend.scenario.bounds import Bounds
from sim_backend.scenario.scenario import BUNDLED, Scenario, document, from_document, load

STEPS = 400


def recorded(scenario, version, randomly, store_buffers=False):
    """A run in which anybody moves and any order is given, and its moves."""
    machine = started(scenario, version, store_buffers)
    machine.state.draw = machine.state.random = randomly.getrandbits(64)
    moves, drawn = [], []

    class Noted(Drawn):
        def bits(self):
            drawn.append(super().bits())
            return drawn[-1]

    machine.context.chance = Noted(machine.state)
    for _ in range(STEPS):
        if randomly.random() < 0.06:
            move = any_order(machine, randomly)
            if move.order not in orders(machine.environment):
                continue
            try:
                getattr(machine, move.order)(*move.arguments)
            except SimError:
                continue
            moves.append(move)
        elif machine.run(1) or machine.crashed:
            moves.append(Move(turn=machine.moving.name, choices=tuple(drawn)))
        drawn.clear()
        if machine.crashed:
            break
    return machine, History(scenario, version, tuple(moves), store_buffers=store_buffers)


def any_order(machine, randomly):
    vcpu = randomly.choice([machine.vcpu_name(v) for v in machine.names])
    device = randomly.choice([actor.name.split()[1] for actor in machine.context.devices.values()])
    cpu = randomly.randrange(len(machine.cpus))
    return randomly.choice(
        [
            Move(order="block", arguments=(vcpu,)),
            Move(order="post", arguments=(device, 0)),
            Move(order="post", arguments=(device, 1)),
            Move(order="preempt", arguments=(vcpu, randomly.random() < 0.5)),
            Move(order="migrate", arguments=(vcpu, cpu)),
            Move(order="wake", arguments=(vcpu,)),
            Move(order="sleep", arguments=(vcpu,)),
            Move(order="hypercall", arguments=(vcpu,)),
            Move(order="deliver", arguments=(vcpu, 0x99)),
            Move(order="offline", arguments=(cpu,)),
            Move(order="bring_online", arguments=(cpu,)),
            Move(order="deassign", arguments=(device,)),
            Move(order="assign", arguments=(device, 1)),
        ]
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BUNDLED)
@given(seed=st.integers(0, 1 << 64))
@settings(max_examples=2)
def test_a_run_replayed_is_the_same_to_the_byte(name, version, seed):
    the_same(*recorded(load(name), VERSIONS[version], Random(seed)))


@given(seed=st.integers(0, 1 << 64))
@settings(max_examples=4)
def test_with_store_buffers_too(seed):
    machine, history = recorded(load("oversubscribed"), CURRENT, Random(seed), store_buffers=True)
    assume(any((move.turn or "").startswith("store buffer") for move in history.moves))
    the_same(machine, history)


def the_same(machine, history):
    """That the history, written and read, leads to this machine."""
    again = parse(history.text(), "the history").at()
    assert again.memory == machine.memory
    # What chance did is in the moves; the generator that it came from had no part in the replay. Nor had the turns in
    # which somebody only found that there is nothing to do: when both have come to rest, these have been had by all.
    for name in ("draw", "random", "background"):
        setattr(again.state, name, getattr(machine.state, name))
    assert again.settle() == machine.settle()
    assert again.memory == machine.memory
    assert machine.crashed or again.digest() == machine.digest()
    assert (again.steps, again.crashed) == (machine.steps, machine.crashed)


@pytest.fixture
def history():
    moves = [Move(order="block", arguments=("d1v0",)), *[Move(turn="CPU 0")] * 12, Move("device 00:03.0")]
    moves.insert(3, Move(order="post", arguments=("00:03.0", 0)))
    return History(load("idle"), CURRENT, tuple(moves), "an example", "it is short")


def test_each_move_tells_what_it_did(history):
    told = [str(event) for _, event in history.replay()]
    assert len(told) == len(history.moves)
    assert told[0] == "environment: block: d1v0"
    assert told[1] == "CPU 0: vmx_asm_do_vmentry: runs in the guest | d1v0 in the guest, until HLT 1 -> 0"
    assert told[-1].startswith("device 00:03.0: VT-d interrupt request: is remapped")
    machine = history.machine()
    numbers = [event.number - machine.steps for _, event in history.replay()]
    assert numbers == [0, 1, 2, 2, *range(3, 14)], "an order takes no step"


def test_perform_and_step_do_the_same():
    one, other = started(load("idle"), CURRENT), started(load("idle"), CURRENT)
    for machine in (one, other):
        machine.preempt("d1v0")
        machine.post("00:03.0", 0)
    events = []
    while (event := one.step()) is not None:
        events.append((event, one.entered))
        assert (other.perform(Move(turn=one.moving.name)), other.entered) == events[-1]
    assert len(events) > 20


def test_the_machine_at_any_step(history):
    machine = history.machine()
    digests = [machine.digest(), *(machine.digest() for machine, _ in history.replay())]
    assert [history.at(step).digest() for step in range(len(history.moves) + 1)] == digests
    assert history.at().digest() == digests[-1]
    assert len(list(history.replay(to=4))) == 4
    for step in (-1, len(history.moves) + 1):
        with pytest.raises(SimError, match=f"there is no step {step} in this history: it has 15"):
            history.at(step)


def test_choices_decide_what_the_logic_draws():
    """cpu_down() moves its vCPU to any of the other CPUs."""
    scenario = replace(load("idle"), layout=replace(load("idle").layout, cpus=4))
    went = {}
    for choice in (0, 1, 2):
        machine = started(scenario, CURRENT)
        machine.perform(Move(order="offline", arguments=(1,)))
        random = machine.state.random
        for _ in range(3):
            machine.perform(Move(turn="toolstack", choices=(choice,)))
        assert machine.state.random == random
        went[choice] = machine.state.migrating[machine.vcpu("d1v1")]
    assert went == {0: 0, 1: 2, 2: 3}


def test_a_crash_is_told_and_is_the_last_move():
    machine = started(load("idle"), CURRENT)
    machine.memory.set_u64(machine.context.blocking_list(0) + machine.o.list_next, 0xDEAD_0000_0000)
    machine.perform(Move(order="deliver", arguments=("d1v0", 0x55)))
    machine.cpus[0].lapic.request(machine.memory.u8(machine.context.pi_wakeup_vector))
    told = [machine.perform(Move(turn="CPU 0")) for _ in range(4)]
    assert (told[-1].function, told[-1].number) == ("pi_wakeup_interrupt", told[-2].number + 1)
    assert told[-1].action.startswith("cannot go on: ")
    assert str(machine.crashed) == f"CPU 0: pi_wakeup_interrupt: {told[-1].action.removeprefix('cannot go on: ')}"
    with pytest.raises(SimError, match="the machine has crashed: CPU 0: pi_wakeup_interrupt"):
        machine.perform(Move(turn="toolstack"))


@pytest.mark.parametrize("name", BUNDLED)
def test_a_scenario_is_in_the_file_whole(name):
    scenario = load(name)
    again = json.loads(json.dumps(document(scenario)))
    assert again.pop("name") == name
    assert from_document(again, name) == scenario


def test_a_scenario_that_is_unlike_the_default_in_everything():
    layout = LayoutConfig(
        profile="4.17",
        cpus=3,
        apic_ids=(4, 2, 9),
        x2apic=True,
        intpost=False,
        domains=(),
        units=2,
        ioapics=2,
        irqs=99,
        ram=64 << 20,
        posted_intr_vector=0xF4,
        pi_wakeup_vector=0xF5,
    )
    scenario = Scenario("a.b", 'a "title"', layout, bounds=Bounds(posts=-1, pauses=3, prelude=("settle",)))
    history = History(scenario, VERSIONS["seed"], store_buffers=True)
    assert parse(history.text(), "it") == history


def test_a_file(tmp_path, history):
    history.write(tmp_path / "history.json")
    assert read(tmp_path / "history.json") == History.read(tmp_path / "history.json") == history
    with pytest.raises(SimError, match="cannot be written"):
        history.write(tmp_path / "none" / "history.json")
    with pytest.raises(SimError, match=r"no history in .*: No such file"):
        read(tmp_path / "none")


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (Move(turn=""), "step 2 of the history, : nobody is called ''; there are CPU 0"),
        (Move(turn="CPU 7"), "step 2 of the history, CPU 7: nobody is called 'CPU 7'; there are CPU 0, CPU 1, device"),
        (Move(turn="device 00:03.0"), "step 2 .*: device 00:03.0 cannot do anything now"),
        (Move(order="preempt", arguments=("d1v9",)), "step 2 .*: there is no vCPU d1v9"),
        (Move(order="post", arguments=("00:03.0",) * 3), "order post with 3 arguments: it takes device, number"),
        (Move(order="post", arguments=("00:03.0", "0")), "order post: number = '0': expected a whole number"),
        (Move(order="block", arguments=(1,)), "order block: vcpu = 1: expected a name"),
        (Move(order="migrate", arguments=("d1v0", True)), "order migrate: cpu = True: expected a whole number"),
        (Move(order="post", arguments=("nonsense", 0)), "device = 'nonsense'"),
        (Move(order="_crash", arguments=()), "no order '_crash'; there are post, request"),
        (Move(order="create_domain", arguments=(5, 5)), "no order 'create_domain'"),
        (Move(order="nonsense"), "no order 'nonsense'"),
    ],
)
def test_moves_that_cannot_be_done(move, message):
    history = History(load("idle"), CURRENT, (Move(order="block", arguments=("d1v0",)), move))
    with pytest.raises(SimError, match=message) as raised:
        history.at()
    assert "\n" not in str(raised.value)


def test_the_prelude():
    scenario = replace(load("idle"), bounds=Bounds(prelude=("block d1v0", "settle", "preempt d1v1 1")))
    with pytest.raises(
        SimError, match="prelude 'preempt d1v1 1': order preempt: by_tasklet = 1: expected true or false"
    ):
        started(scenario, CURRENT)
    machine = started(replace(scenario, bounds=Bounds(prelude=("block d1v0",))), CURRENT)
    assert machine.where(0) == "idle"
    assert machine.step() is None
    with pytest.raises(SimError, match="no order 'dance'"):
        started(replace(scenario, bounds=Bounds(prelude=("dance",))), CURRENT)
    with pytest.raises(SimError, match="prelude"):
        started(replace(scenario, bounds=Bounds(prelude=("",))), CURRENT)


def changed(history, **members):
    return json.dumps(json.loads(history.text()) | members)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"kind": "x"}, 'it is no history: expected a JSON object with "kind": "vtdpi history"'),
        ({"format": 2}, "it is a history of format 2; this vtdpi reads format 1"),
        ({"scenario": "\ud800"}, r"history it: '\\ud800': expected Unicode"),
        ({"moves": {}}, "history it: moves = {}: expected a list"),
        ({"extra": 1}, "history it: extra: no such key"),
        ({"store_buffers": 1}, "store_buffers = 1: expected true or false"),
        ({"why": 1}, "why = 1: expected a text"),
        ({"scenario": {"machine": {"cpus": "2"}}}, "scenario machine: machine.cpus = '2': expected a whole number"),
        ({"scenario": {"name": 5}}, "scenario.name = 5"),
        ({"version": {}}, "version.*is missing"),
        ({"moves": [[]]}, 'move 1: expected an object with either "turn" or "order"'),
        ({"moves": [{"turn": "CPU 0", "order": "post"}]}, 'move 1: expected an object with either "turn" or "order"'),
        ({"moves": [{"turn": 1}]}, "move 1, turn = 1: expected a text"),
        ({"moves": [{"turn": "CPU 0", "arguments": []}]}, "move 1, arguments: no such key"),
        (
            {"moves": [{"order": "post", "arguments": [[]]}]},
            r"move 1, arguments\[0\] = \[\]: expected true or false or a whole number or a text",
        ),
        (
            {"moves": [{"order": "post", "arguments": [1 << 80]}]},
            r"arguments\[0\] = a number of 81 bits: expected a whole number <= 4294967295",
        ),
        ({"format": "x\n" * 5000}, "it is a history of format 'x.{38}; this"),
        ({"a\nb": 1}, r"history it: 'a\\nb': no such key"),
        ({"why": "x" * 5000}, r"why = 'x{199}\.\.\.: expected a text of length <= 4096"),
        ({"scenario": {"name": "x" * 5000}}, r"scenario.name = 'x{199}\.\.\.: expected a text of length <= 100"),
        ({"moves": [{"turn": "x" * 500}]}, r"move 1, turn = 'x{199}\.\.\.: expected a text of length <= 100"),
        (
            {"moves": [{"order": "post", "arguments": ["x" * 5000]}]},
            r"move 1, arguments\[0\] = 'x{199}\.\.\.: expected a text of length <= 100",
        ),
        (
            {"moves": [{"turn": "CPU 0", "choices": [0] * 5000}]},
            "move 1, choices = .*: expected a list of length <= 4096",
        ),
        ({"moves": [{"turn": "CPU 0", "choices": ["a"]}]}, r"move 1, choices\[0\] = 'a': expected a whole number"),
        ({"moves": [{"turn": "CPU 0", "choices": [-1]}]}, r"move 1, choices\[0\] = -1: expected a whole number >= 0"),
    ],
)
def test_files_that_are_none(history, members, message):
    with pytest.raises(SimError, match=message) as error:
        parse(changed(history, **members), "it")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, b"\xff\xfe\x00", '{"kind": NaN}', "9" * 10_000])
def test_texts_that_are_none(text):
    with pytest.raises(SimError, match="it is no history"):
        parse(text, "it")


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_any_value_in_any_place_gives_one_line_or_a_history(history, data):
    whole = json.loads(history.text())
    place = whole
    while True:
        keys = list(range(len(place))) if isinstance(place, list) else list(place)
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 5)) == 0:
            break
        place = place[key]
    place[key] = data.draw(HOSTILE)
    said = ""
    try:
        parse(json.dumps(whole), "it").at()
    except SimError as error:
        said = str(error)
    assert "\n" not in said


def test_every_order_can_be_named():
    assert {"post", "block", "preempt", "migrate", "offline", "assign", "deassign", "sleep", "wake"} <= set(ORDERS)
    assert not {"order", "create_domain", "toolstack_busy"} & set(ORDERS)
