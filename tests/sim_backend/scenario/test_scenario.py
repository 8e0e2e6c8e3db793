"""Scenarios: the bundled ones, and what a wrong one is told."""

from __future__ import annotations

import pytest

from sim_backend.logic.workload import Workload
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import BUNDLED, load, parse, parse_bdf


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_ones(name):
    scenario = load(name)
    assert scenario.name == name
    assert scenario.title
    machine = Machine(scenario)
    assert len(machine.cpus) == scenario.layout.cpus
    assert {machine.context.passthrough.owner(device.bdf) for device in scenario.layout.devices} <= {1, 2}


def test_only_idle_does_nothing_of_itself():
    assert [name for name in BUNDLED if not load(name).workload.busy] == ["idle"]


def test_one_of_your_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[machine]\ncpus = 3\napic_ids = [0, 1, 4]\n[[domain]]\nid = 9\nvcpus = 1\n[workload]\nhalt = 5\n")
    scenario = load(path)
    assert (scenario.name, scenario.layout.apics, scenario.workload) == ("mine", (0, 1, 4), Workload(halt=5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[machine", "Expected"),
        ("nonsense = 1", "nonsense: no such key; there are title, machine"),
        ("[machine]\nspeed = 1", "machine.speed: no such key"),
        ("[machine]\ncpus = 'two'", "machine.cpus = 'two': expected a whole number"),
        ("[machine]\ncpus = true", "machine.cpus = True: expected a whole number"),
        ("[machine]\ncpus = 0", "0 CPUs"),
        ("[machine]\nprofile = '9.9'", "9.9"),
        ("[machine]\napic_ids = [1, 'x']", r"machine.apic_ids\[1\] = 'x': expected a whole number"),
        ("machine = 3", "machine = 3: expected a table"),
        ("[[domain]]\nid = 1", r"domain\[0\].vcpus is missing"),
        ("[[domain]]\nid = 1\nvcpus = 0", r"domain\[0\].vcpus = 0"),
        ("domain = [1]", r"domain\[0\] = 1: expected a table"),
        ("[[device]]\nbdf = '0:99.0'", r"device\[0\].bdf = '0:99.0'"),
        ("[[device]]\nbdf = 'eth0'", r"device\[0\].bdf = 'eth0': expected BUS:DEVICE.FUNCTION"),
        ("[[device]]\nbdf = '00:03.0'\nvectors = 0", r"device\[0\].vectors = 0"),
        ("[[device]]\nbdf = '00:03.0'\ndomain = 5", "device's domain is not there"),
        ("[workload]\nhalt = -1", "workload.halt = -1: expected a whole number >= 0"),
        ("[workload]\nhalt = 1000\nipi = 1000", "add up to more"),
        ("title = " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ("[machine]\ncpus = " + "9" * 5000, "4300 digits"),
        (
            "[machine]\ncpus = 0x" + "f" * 5000,
            "machine.cpus = a number of 20000 bits: expected a whole number <= 9223372036854775807",
        ),
        ("[machine]\napic_ids = [0x" + "f" * 5000 + "]\ncpus = 1", r"machine.apic_ids\[0\] = a number of 20000 bits"),
        ("[machine]\ncpus = '" + "9" * 5000 + "'", r"machine.cpus = '9{199}\.\.\.: expected a whole number"),
        ("title = '" + "x" * 5000 + "'", r"title = 'x{199}\.\.\.: expected a text of length <= 4096"),
        ('"a\\nb" = 1', r"'a\\nb': no such key"),
        ("[explore]\nprelude = [1]", r"explore.prelude\[0\] = 1: expected a text"),
        (
            "[explore]\nprelude = ['" + "x" * 5000 + "']",
            r"explore.prelude\[0\] = 'x{199}\.\.\.: expected a text of length <= 200",
        ),
        ("[workload]\ntimer = 1000\nevent = 1000", "timer, event add up to more"),
    ],
)
def test_a_wrong_one_is_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(SimError, match=message) as error:
        Machine(load(path))
    assert "\n" not in str(error.value)
    if "9.9" not in text:
        assert str(path) in str(error.value)


def test_there_is_none(tmp_path):
    with pytest.raises(SimError, match="bundled ones are idle"):
        load("no-such-scenario")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SimError, match="it is no text"):
        load(tmp_path / "binary")
    with pytest.raises(SimError, match="it has more than 1048576 bytes"):
        load("/dev/zero")
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(SimError, match="bundled ones are idle") as error:
            load(name)
        assert "\n" not in str(error.value)


def test_devices_are_named_as_everywhere():
    assert parse_bdf("03:1f.7") == 0x3FF
    assert parse("", "nothing").layout.cpus == 2
