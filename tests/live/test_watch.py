"""The live table on a real Xen under a real QEMU: looked at, and left as found."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from inspector.lab.machine import Recipe
from inspector.targets.live.qmp import Qmp

pytestmark = pytest.mark.live


def test_a_running_xen_is_stopped_for_each_look_only_and_runs_afterwards(labs):
    lab = labs(Recipe(xen="4.20", dom0=True))
    lab.wait()
    words = ["live", lab.gdb, "--qmp", str(lab.control), "watch", "--count", "4", "--interval", "0.2"]
    command = [sys.executable, "-m", "inspector.frontends.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    stopped = [float(ms) for ms in re.findall(r"guest stopped ([\d.]+) ms", done.stdout)]
    assert len(stopped) == 4
    assert "d0v0: STATE" in done.stdout
    with Qmp(lab.control) as qmp:
        assert qmp.execute("query-status")["status"] == "running"
