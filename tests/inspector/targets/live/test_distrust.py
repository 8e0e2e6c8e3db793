"""A stub cannot have gdb touch files or run anything, as we start gdb; as others do, it can."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from inspector.base import landlock
from inspector.base.errors import TargetError
from inspector.base.landlock import confinement
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.mi import Gdb
from sim_backend.machine.machine import Machine

specification = importlib.util.spec_from_file_location("hostile_stub", Path(__file__).with_name("hostile_stub.py"))
assert specification
assert specification.loader
hostile_stub = importlib.util.module_from_spec(specification)
specification.loader.exec_module(hostile_stub)


@pytest.fixture
def stub(tmp_path, unavailable):
    if not shutil.which("gdb"):
        unavailable("gdb is missing: install the package gdb")
    with confinement("/usr/bin/gdb") as confine:
        if confine is None:
            unavailable("this kernel has no Landlock")
    made = hostile_stub.HostileStub(tmp_path)
    yield made
    made.close()


def test_a_plain_gdb_does_as_it_is_asked(stub):
    """The stub really asks, and gdb really would."""
    words = ["-ex", "set architecture i386:x86-64", "-ex", f"target remote {stub.address}", "-ex", "continue"]
    subprocess.run(["gdb", "-nx", "-batch", *words], timeout=60, check=False, capture_output=True)
    assert stub.made.exists()
    assert not stub.victim.exists()
    assert b"a secret" in stub.written


def test_ours_does_not(stub):
    target = GdbMi(stub.address, timeout=60)
    try:
        target.cont()
        assert stub.done.wait(60)
    finally:
        # The stub is none that can be left as it was found.
        with suppress(TargetError):
            target.close()
    assert stub.answers[0].startswith(b"F-1")
    assert not stub.made.exists()
    assert stub.victim.read_text() == "still here"
    assert not stub.ran.exists()
    assert b"secret" not in stub.written


def test_our_gdb_cannot_touch_files_in_any_other_way(tmp_path, stub):
    """Were there a hole in gdb itself."""
    with_python = "python open({!r}, {!r})"
    (tmp_path / "there").write_text("old")
    gdb = Gdb()
    try:
        assert gdb.confined
        for command in (
            with_python.format(str(tmp_path / "new"), "w"),
            with_python.format(str(tmp_path / "there"), "w"),
            with_python.format(str(tmp_path / "there"), "r"),
            f"python import os; os.unlink({str(tmp_path / 'there')!r})",
            f"python import os; os.rename({str(tmp_path / 'there')!r}, {str(tmp_path / 'other')!r})",
            f"dump value {tmp_path}/dump 1",
            f"set logging file {tmp_path}/log",
            "set logging enabled on",
            f"file {tmp_path}/there",
        ):
            gdb.try_all([command])
        assert gdb.try_all([f"shell touch {tmp_path}/by-a-shell"])
    finally:
        gdb.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "there": "old",
        "victim": "still here",
        "secret": "a secret",
    }


@pytest.fixture
def machine(laid_out):
    return Machine(laid_out("idle"), seed=1)


def test_a_kernel_without_it_is_noted_once(run, server, unavailable, monkeypatch):
    if not shutil.which("gdb"):
        unavailable("gdb is missing: install the package gdb")
    address = server.address
    assert "Landlock" not in run("live", address, "info").err
    # A system call that no kernel has, as an old kernel lacks this one.
    monkeypatch.setattr(landlock, "CREATE_RULESET", 100_000)
    told = run("live", address, "-c", "info", "-c", "vcpus")
    assert told.status == 0
    assert told.err.count("no Landlock") == 1
    assert "attach only to a stub that you trust" in told.err
