"""`trace` shows each transition when it happens, wherever its lines go."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STORM = ("sim", "--scenario", "wakeup-storm")


@pytest.fixture
def started():
    """Call it with a command line for a process whose output is a pipe; ended, whatever happens."""
    running = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "inspector.frontends.cli", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_pipe_gets_each_line_when_it_happens(started):
    """No end of it is in sight when the first lines are there; Ctrl-C ends it well."""
    process = started(*STORM, "trace", "--count", "100000000", "--seconds", "600")
    assert process.stdout.readline().split()[:3] == ["TIME", "(steps)", "BY"]
    assert "pir none -> " in process.stdout.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert re.search(r"\b(1 transition|\d+ transitions); interrupted$", out.rstrip())
    assert (process.returncode, err) == (0, "")


@pytest.mark.thorough
def test_a_reader_who_has_seen_enough_ends_it(started):
    process = started(*STORM, "trace", "--count", "100000000", "--seconds", "600")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


@pytest.mark.thorough
def test_a_shell_command_of_the_line_too(started):
    process = started(*STORM, "-c", "trace --count 100000000 --seconds 600 | head -2")
    out, err = process.communicate(timeout=60)
    assert (len(out.splitlines()), process.returncode, err) == (2, 0, "")


def test_json_is_one_document_at_the_end(run):
    ran = run(*STORM, "trace", "--count", "3", "--json")
    assert [hit["kind"] for hit in ran.json["hits"]] == ["write"] * 3
    assert ran.out == json.dumps(json.loads(ran.out)) + "\n"
