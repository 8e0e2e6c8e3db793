"""A machine in a file."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.layout.config import profile_named
from sim_backend.layout.layout import LayoutConfig
from sim_backend.machine import checkpoint
from sim_backend.machine.checkpoint import FORMAT, MAGIC
from sim_backend.machine.environment import Move
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import Inconsistent, SimError
from sim_backend.scenario.scenario import BUNDLED, load


@pytest.mark.parametrize("version", ["seed", "current"])
@pytest.mark.parametrize("name", BUNDLED)
def test_a_saved_machine_resumes_to_the_same_bytes(tmp_path, name, version):
    machine = Machine(load(name), version, seed=4)
    machine.run(2500)
    machine.save(tmp_path / "machine")
    again = Machine.load(tmp_path / "machine")
    assert again.digest() == machine.digest()
    for name in ("steps", "version"):
        assert getattr(again, name) == getattr(machine, name)
    assert again.context.workload == machine.context.workload
    machine.run(2500)
    again.run(2500)
    assert again.memory == machine.memory
    assert again.digest() == machine.digest()


def test_memory_above_4_gib_is_saved(tmp_path):
    scenario = load("zoo-07")
    machine = Machine(scenario)
    machine.run(500)
    machine.save(tmp_path / "machine")
    again = Machine.load(tmp_path / "machine")
    for each in (machine, again):
        each.layout.create_domain(7, 1)
        assert each.layout.vcpu(7, 0) >> 32 == 1
    assert again.memory == machine.memory


def test_the_build_is_the_one_that_it_was_saved_with(tmp_path, monkeypatch):
    machine = Machine(LayoutConfig("4.20.3"))
    machine.save(tmp_path / "machine")
    newest = profile_named("4.20")
    monkeypatch.setattr(
        "sim_backend.machine.checkpoint.profile_named", lambda name: newest if name == "4.20.3" else profile_named(name)
    )
    assert Machine.load(tmp_path / "machine").layout.profile.version.startswith("4.20.3")


def test_orders_that_wait_are_saved(tmp_path):
    machine = Machine(load("idle"))
    machine.settle()
    machine.block("d1v0")
    machine.ipi("d1v1", "d1v0", 0x55)
    machine.post("00:03.0", 1)
    machine.offline(1)
    machine.save(tmp_path / "machine")
    again = Machine.load(tmp_path / "machine")
    machine.settle()
    again.settle()
    assert again.digest() == machine.digest()
    assert again.state.online == [0]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "machine"
    machine = Machine(load("one-device"), seed=4)
    machine.run(500)
    machine.save(path)
    return path.read_bytes()


@given(data=st.data())
def test_a_damaged_file_is_an_error(tmp_path, saved, data):
    at = data.draw(st.integers(0, len(saved) - 1))
    damaged = data.draw(
        st.sampled_from([saved[:at], saved[:at] + bytes([saved[at] ^ 1 << at % 8]) + saved[at + 1 :], saved + b"x"])
    )
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with pytest.raises(SimError, match=str(path)) as error:
        Machine.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no saved machine"),
        (b"\x7fELF", "is no saved machine"),
        (MAGIC + b"999\n" + bytes(99), f"saved in format 999; this vtdpi reads format {FORMAT}"),
        (MAGIC + f"{FORMAT}\n".encode(), "is damaged"),
    ],
)
def test_another_file_is_an_error(tmp_path, content, message):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(SimError, match=message):
        Machine.load(path)


def test_what_unpacks_to_more_than_a_machine_has_is_an_error(tmp_path, monkeypatch):
    body = zlib.compress(bytes(1 << 20))
    path = tmp_path / "machine"
    path.write_bytes(MAGIC + f"{FORMAT}\n".encode() + checkpoint._checksum(body) + body)
    monkeypatch.setattr(checkpoint, "LARGEST", (1 << 20) - 1)
    with pytest.raises(SimError, match="it holds more than 0 MiB"):
        Machine.load(path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda document: document["scenario"]["workload"].update(x=1), "workload x: there is none such"),
        (lambda document: document["layout"].update(idle=[]), "is not in it"),
        (lambda document: document["layout"].update(units=[{"registers": "x"}]), "no saved layout"),
        (lambda document: document["layout"]["heap"].update(free=[[]]), "no saved layout"),
        (lambda document: document["layout"].pop("devices"), "no saved layout"),
        (lambda document: document["records"].popitem(), "it is no part of this machine"),
    ],
)
def test_a_machine_whose_parts_do_not_fit_is_an_error(tmp_path, saved, damage, said):
    line, _, rest = saved.partition(b"\n")
    content = zlib.decompress(rest[checkpoint.CHECKSUM :])
    end = checkpoint.LENGTH + int.from_bytes(content[: checkpoint.LENGTH], "little")
    document = json.loads(content[checkpoint.LENGTH : end])
    damage(document)
    text = json.dumps(document).encode()
    body = zlib.compress(len(text).to_bytes(checkpoint.LENGTH, "little") + text + content[end:])
    path = tmp_path / "forged"
    path.write_bytes(line + b"\n" + checkpoint._checksum(body) + body)
    with pytest.raises(SimError, match=said) as error:
        Machine.load(path)
    assert "\n" not in str(error.value)


def test_no_file_is_an_error(tmp_path):
    with pytest.raises(SimError, match="No such file"):
        Machine.load(tmp_path / "none")
    with pytest.raises(SimError, match="cannot be saved"):
        Machine(load("idle")).save(tmp_path / "no" / "folder")


def test_a_state_that_no_machine_gets_into_ends_with_one_line(tmp_path):
    machine = Machine(load("one-device"), seed=4)
    machine.run(500)
    machine.state.areas.clear()
    machine.save(tmp_path / "machine")
    with pytest.raises(Inconsistent, match="a state that none gets into") as error:
        Machine.load(tmp_path / "machine").run(5000)
    assert "\n" not in str(error.value)
    with pytest.raises(Inconsistent):
        list(Machine.load(tmp_path / "machine").copy().events_of(5000))
    with pytest.raises(Inconsistent):
        turn_by_turn(Machine.load(tmp_path / "machine"), 5000)
    # Of a machine that is from no file it is a fault of this program, and stays one.
    with pytest.raises(KeyError):
        machine.run(5000)


def turn_by_turn(machine, rounds):
    for actor in machine.actors * rounds:
        try:
            machine.perform(Move(turn=actor.name))
        except Inconsistent:
            raise
        except SimError:
            continue
