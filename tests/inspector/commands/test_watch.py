"""`watch` without a terminal: its lines come look by look, and to where the line sends them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import check_schema

ROOT = Path(__file__).parents[3]
STORM = ("sim", "--scenario", "wakeup-storm")


@pytest.mark.thorough
def test_a_pipe_gets_each_look_when_it_is_taken():
    process = subprocess.Popen(
        [sys.executable, "-m", "inspector.frontends.cli", *STORM, "watch", "--interval", "0.05"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stdout)
        assert next(lines).startswith("look 1: 13 vCPUs")
        assert next(line for line in lines if line.startswith("look 2"))
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert out.rstrip().endswith("looks")
    assert (process.returncode, err) == (0, "")


def test_a_shell_command_of_the_line_gets_them(run, tmp_path):
    looks = tmp_path / "looks.txt"
    ran = run(*STORM, "-c", f"watch --count 2 --interval 0.05 | grep ^look > {looks}")
    assert (ran.status, ran.out) == (0, "")
    assert [line.partition(":")[0] for line in looks.read_text().splitlines()] == ["look 1", "look 2"]


def test_json_is_a_document_a_look(run):
    ran = run(*STORM, "watch", "--count", "3", "--interval", "0.05", "--json")
    looks = [json.loads(line) for line in ran.out.splitlines()]
    for look in looks:
        check_schema(look)
    assert [look["look"] for look in looks] == [1, 2, 3]
    assert all(len(look["vcpus"]) == 13 for look in looks)
    assert not any(row["changed"] for row in looks[0]["vcpus"])
    assert any("pi.pir" in row["changed"] for look in looks[1:] for row in look["vcpus"])
