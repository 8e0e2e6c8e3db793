"""A test run that is interrupted, or killed, leaves no QEMU behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspector.lab.machine import Recipe

pytestmark = pytest.mark.live

HOLD = "VTDPI_TEST_HOLDS_A_LAB"
"""Names the file that says that a lab is up."""


@pytest.mark.skipif(HOLD not in os.environ, reason="only within the test below")
def test_that_holds_a_lab(labs):
    lab = labs(Recipe(xen="4.20"))
    Path(os.environ[HOLD]).write_text(str(lab.pid))
    time.sleep(600)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_nothing_is_left(how, labs, tmp_path):
    told = tmp_path / "pid"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "test_that_holds_a_lab"]
    run = subprocess.Popen(
        [*words, f"--basetemp={tmp_path / 'base'}", __file__],
        cwd=Path(__file__).parents[2],
        env={**os.environ, HOLD: str(told)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (told.exists() and told.read_text()):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    qemu = Path(f"/proc/{told.read_text()}")
    assert qemu.exists()
    run.send_signal(how)
    run.wait(60)
    deadline = time.monotonic() + 20
    while qemu.exists():
        assert time.monotonic() < deadline, "a QEMU is left"
        time.sleep(0.05)
