"""The look before the stop. That it shortens the stop is shown by tests/live/test_any_xen.py."""

from __future__ import annotations

import pytest

from inspector.capture.ahead import look_ahead
from inspector.profiles import places
from inspector.profiles import store as profiles
from inspector.targets.live import running_qemu
from inspector.targets.open_file import open_file

BUILD = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"


@pytest.fixture
def running(golden, monkeypatch):
    """A machine that runs: a capture in its place."""
    monkeypatch.setattr(running_qemu, "RunningQemu", lambda path: open_file(golden("xapic-4-cpus")))


def test_a_known_build_is_left_for_later(running):
    assert look_ahead("/some/qmp") is None


def test_an_unknown_one_is_found_with_all_that_takes_time(running, monkeypatch):
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    monkeypatch.setattr(places, "installed", lambda build_id: None)
    xen = look_ahead("/some/qmp")
    assert xen
    assert xen.profile.build_id == BUILD
    assert xen.knowledge.score["proved"] > 30


def test_where_nobody_listens_there_is_nothing_to_be_found(tmp_path):
    assert look_ahead(str(tmp_path / "nobody")) is None
