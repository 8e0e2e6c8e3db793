"""The look before the stop. That it shortens the stop is shown by tests/live/test_any_xen.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.capture.ahead import look_ahead
from inspector.capture.inspection import Inspection
from inspector.profiles import places
from inspector.profiles import store as profiles
from inspector.targets.live import running_qemu
from inspector.targets.open_file import open_file
from inspector.targets.target import Target
from structs.xen import named

BUILD = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"


class Running(Target):
    """A machine that runs: a capture in its place."""

    def __init__(self, capture: Target) -> None:
        self._capture = capture
        self.description = capture.description
        self.asked: list[tuple[int, int]] = []

    def read(self, address: int, size: int) -> bytes:
        self.asked.append((address, size))
        return self._capture.read(address, size)

    def forget(self) -> None:
        self.asked.clear()

    def memory(self):
        return self._capture.memory()

    def cpus(self):
        return self._capture.cpus()

    def close(self) -> None:
        self._capture.close()


@pytest.fixture
def running(golden, monkeypatch):
    capture = golden("xapic-4-cpus")
    monkeypatch.setattr(running_qemu, "RunningQemu", lambda path: Running(open_file(capture)))
    return capture


@pytest.fixture
def nothing_known(monkeypatch):
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    monkeypatch.setattr(places, "installed", lambda build_id: None)


def test_a_known_build_and_what_a_look_reads(running):
    ahead = look_ahead("/some/qmp")
    assert ahead
    assert ahead.xen.profile.build_id == BUILD
    assert ahead.xen.knowledge is None
    with open_file(running) as capture:
        look = Running(capture)
        inspection = Inspection(look, expected=ahead.xen)
        assert inspection.snapshot.vcpus
    assert set(look.asked) <= set(ahead.blocks)


def test_an_unknown_one_is_found_with_all_that_takes_time(running, nothing_known):
    ahead = look_ahead("/some/qmp")
    assert ahead
    assert ahead.xen.profile.build_id == BUILD
    assert ahead.xen.knowledge
    assert ahead.xen.knowledge.score["proved"] > 30
    assert sum(size for _, size in ahead.blocks) < 1 << 20, "not the image, which is not read again"


def test_by_the_profile_that_is_named(running, nothing_known):
    file = Path(named.__file__).with_name("profiles") / f"{BUILD}.json"
    ahead = look_ahead("/some/qmp", profile=str(file))
    assert ahead
    assert ahead.xen.knowledge is None


@pytest.mark.parametrize("given", [{"symbols": "no/such/file"}, {"profile": "/no/such.json"}])
def test_what_is_wrong_with_a_file_is_told_later(running, given):
    assert look_ahead("/some/qmp", **given) is None


def test_where_nobody_listens_there_is_nothing_to_be_found(tmp_path):
    assert look_ahead(str(tmp_path / "nobody")) is None
