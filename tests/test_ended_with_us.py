"""What a test starts ends with the test run, also if that is killed: no QEMU is left, whatever test had it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

HOLD = "VTDPI_TEST_HOLDS_A_PROCESS"
"""Names the file that says which process the test below has started."""


@pytest.mark.skipif(HOLD not in os.environ, reason="only within the test below")
def test_that_holds_a_process(tmp_path):
    # As a QEMU has its lab's folder in its command line.
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", tmp_path], start_new_session=True)
    Path(os.environ[HOLD]).write_text(f"{started.pid} {os.getpid()}\n")
    time.sleep(600)


def until(holds: Callable[[], object]) -> None:
    """Wait as long as a pytest may take to start on a busy machine."""
    deadline = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_is_left(tmp_path):
    told = tmp_path / "told"
    words = ["-q", "-p", "no:cacheprovider", "-k", "test_that_holds_a_process", f"--basetemp={tmp_path / 'base'}"]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *words, __file__],
        cwd=Path(__file__).parents[1],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}, HOLD: str(told)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: run.poll() is not None or (told.exists() and told.read_text().endswith("\n")))
        assert run.poll() is None
        held = Path("/proc") / told.read_text().split()[0]
        assert held.exists()
    finally:
        run.kill()
        run.wait()
    # A zombie of ours it is not: its parent is gone.
    until(lambda: not held.exists())
