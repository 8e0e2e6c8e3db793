"""Traces of a real Xen under a real QEMU."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from inspector.lab.machine import Recipe
from inspector.targets.live.qmp import Qmp

pytestmark = pytest.mark.live


def status(lab):
    with Qmp(lab.control) as qmp:
        return qmp.execute("query-status")["status"]


def test_a_function_of_a_real_xen_is_traced_and_the_machine_left_as_found(labs):
    lab = labs(Recipe(xen="4.20", dom0=True))
    lab.wait()
    words = ["live", lab.gdb, "--qmp", str(lab.control), "trace", "--hook", "do_softirq", "--json"]
    command = [sys.executable, "-m", "inspector.frontends.cli", *words]
    done = subprocess.run([*command, "--count", "5"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    hits = json.loads(done.stdout)["hits"]
    assert [(hit["function"], hit["cpu"]) for hit in hits] == [("do_softirq", 0)] * 5
    assert {hit["vcpu"] for hit in hits} <= {"d0v0", None}
    assert all(hit["argument"] for hit in hits)
    assert [hit["time"] for hit in hits] == sorted(hit["time"] for hit in hits)
    assert status(lab) == "running"
    # Ctrl-C in the middle; on a slow machine the first ones come before it has begun.
    for seconds in (2, 4, 8, 16):
        endless = [*command, "--count", "1000000", "--seconds", "60"]
        with subprocess.Popen(endless, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=20)
        if out:
            break
    assert json.loads(out)["ended"] == "interrupted"
    assert status(lab) == "running"
    time.sleep(1)
    assert status(lab) == "running"
