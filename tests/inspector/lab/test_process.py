"""Processes known by a path in their command line: found, ended, and never taken for another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from inspector.lab.process import end, given, is_given

IGNORES = "import signal, sys; signal.signal(15, signal.SIG_IGN); print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def start():
    """Starts a process with a path, given as QEMU's options give it."""
    started = []

    def run(path):
        word = "-monitor=unix,path=" + str(path).replace(",", ",,")
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", IGNORES, word], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "up\n"
        return process

    yield run
    for process in started:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("name", ["lab", "a,b", "with space"])
def test_it_is_known_by_its_path(start, tmp_path, name):
    process = start(tmp_path / name)
    assert is_given(process.pid, tmp_path / name)
    assert given(tmp_path / name) == [process.pid]
    assert not is_given(process.pid, tmp_path / "other")
    assert not is_given(os.getpid(), tmp_path / name)


def test_it_is_ended(start, tmp_path):
    process = start(tmp_path / "lab")
    assert end(process.pid, tmp_path / "lab")
    assert given(tmp_path / "lab") == []


def test_another_one_is_not_touched(start, tmp_path):
    process = start(tmp_path / "lab")
    assert end(process.pid, tmp_path / "other")
    assert process.poll() is None
    assert is_given(process.pid, tmp_path / "lab")


def test_one_that_has_gone_is_gone(start, tmp_path):
    process = start(tmp_path / "lab")
    process.kill()
    process.wait()
    assert end(process.pid, tmp_path / "lab")
    assert not is_given(process.pid, tmp_path / "lab")


def test_one_that_ends_by_itself_is_waited_for(start, tmp_path):
    process = start(tmp_path / "lab")
    process.stdin.close()
    assert end(process.pid, tmp_path / "lab", grace=30)
