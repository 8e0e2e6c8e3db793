"""What CPUs do, on a real Xen: an idle one idles, and then the audit is certain."""

from __future__ import annotations

import time

import pytest

from inspector.audit import audit
from inspector.audit.evidence import quiet
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import IDLE
from inspector.targets.live.gdb_mi import GdbMi

pytestmark = pytest.mark.live


def test_an_idle_xen_idles(lab_dom0):
    """dom0 sleeps most of the time: at one of a few looks its CPU waits in `default_idle`, wherever hlt lies in it."""
    deadline = time.monotonic() + 60
    with GdbMi(lab_dom0.gdb, qmp=str(lab_dom0.qmp)) as target:
        inspection = Inspection(target)
        while not all(cpu.mode == IDLE for cpu in inspection.snapshot.online):
            assert time.monotonic() < deadline, [(cpu.mode, cpu.function) for cpu in inspection.snapshot.online]
            target.cont()
            time.sleep(0.05)
            target.stop()
            inspection = inspection.again()
        snapshot = inspection.snapshot
        assert {cpu.current for cpu in snapshot.online} == {"idle"}
        assert all(cpu.function.startswith("default_idle+") for cpu in snapshot.online)
        assert quiet(snapshot)
        assert not [finding for finding in audit(snapshot) if finding.suspicion]


def test_a_xen_that_has_panicked_is_seen_to_do_nothing_more(lab_xen):
    with GdbMi(lab_xen.gdb, qmp=str(lab_xen.qmp)) as target:
        snapshot = Inspection(target).snapshot
    (cpu,) = snapshot.online
    assert cpu.function.startswith("machine_halt+")
    assert cpu.backtrace[0].startswith("panic")
    assert cpu.between_steps is False
    assert quiet(snapshot)
