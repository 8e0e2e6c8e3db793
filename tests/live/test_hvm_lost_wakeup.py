"""A lost wakeup in a real Xen: a vCPU that is woken by an IPI only, preempted while that is posted. And its control."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from inspector.audit import BUG, confirm
from inspector.lab import LabError
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.hvm.machine import HvmRecipe
from inspector.lab.hvm.post import post
from inspector.model.snapshot import Snapshot
from inspector.shell.session import Session
from inspector.targets.live.bochs import Bochs

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hvm")]

WITHIN = 120.0
SLEEPER, WAKER = "d1v2", 0x52
LOST = "vtdpi guest: an IPI is lost"


def look(found: Session) -> Snapshot:
    bochs = found.target
    assert isinstance(bochs, Bochs)
    with bochs.held():
        return found.inspection.again().snapshot


def waited_for(found: Session, seen: Callable[[Snapshot], bool]) -> Snapshot:
    deadline = time.monotonic() + WITHIN
    while not seen(snapshot := look(found)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return snapshot


def is_lost(snapshot: Snapshot) -> bool:
    found = [each for each in confirm([snapshot]) if each.rule == "D5" and each.severity == BUG]
    return any(each.subject == SLEEPER and f"{WAKER:#x}" in each.message for each in found)


def test_it_is_lost_and_named_and_never_without_posting(hvm: Callable[[HvmRecipe], HvmLab]) -> None:
    begin = time.monotonic()
    lab = hvm(HvmRecipe(guest="ipi", name="lost"))
    with Session(lambda: Bochs(lab.machine())) as found:
        snapshot = waited_for(found, is_lost)
        sleeper = snapshot.by_name[SLEEPER]
        assert sleeper.pi
        assert (sleeper.blocked, sleeper.pi.pir, sleeper.pi.on, sleeper.pi.sn) == (True, (WAKER,), 0, 0)
        again = found.ask(["audit", "--again", "2", "--wait", "0.5"])
        assert again.status == 1
    # Another post, as a device's, wakes it: nothing but the lost one kept it asleep.
    done = post(lab, SLEEPER, 0x61)
    assert done.notified
    with Session(lambda: Bochs(lab.machine())) as found:
        waited_for(found, lambda now: bool((pi := now.by_name[SLEEPER].pi) and 0x61 not in pi.pir))
    for name, vector in (("d1v9", 0x61), (SLEEPER, 3), (SLEEPER, 0x100)):
        with pytest.raises(LabError) as raised:
            post(lab, name, vector)
        assert "\n" not in str(raised.value)
    lab.down()
    took = time.monotonic() - begin

    control = hvm(HvmRecipe(guest="ipi", name="control", posting=False))
    with Session(lambda: Bochs(control.machine())) as found:
        assert not look(found).intpost
        end = time.monotonic() + max(20.0, min(took, 40.0))
        while time.monotonic() < end:
            assert not is_lost(look(found))
            time.sleep(0.2)
    assert LOST not in control.console.read_text()
