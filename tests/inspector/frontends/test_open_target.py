"""Options become the target that they name."""

from __future__ import annotations

import pytest

from inspector.base.errors import TargetError
from inspector.frontends.open_target import open_target
from inspector.lab import LabError
from inspector.targets.options import DumpOptions, LiveOptions, SimOptions


def test_a_simulated_machine():
    with open_target(SimOptions()) as target:
        assert "simulat" in target.description
        assert len(target.read(0, 4)) == 4


def test_a_file(golden):
    with open_target(DumpOptions(str(golden("two-in-guest")))) as target:
        assert str(golden("two-in-guest")) in target.description
        assert list(target.files) == [str(golden("two-in-guest"))]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TargetError, match="cannot be opened"):
        open_target(DumpOptions(str(tmp_path / "none")))


def test_a_bochs_that_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(LabError, match="no HVM lab nope is running"):
        open_target(LiveOptions("bochs:nope"))
