"""A lost wakeup in a real Xen: a vCPU that is woken by an IPI only, preempted while that is posted. And its control."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from inspector.audit import BUG, confirm
from inspector.frontends.cli import main
from inspector.lab import LabError
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.hvm.machine import HvmRecipe
from inspector.lab.hvm.post import post
from inspector.model.snapshot import Snapshot
from inspector.shell.opening import Opening
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


def test_it_is_lost_and_named_until_another_post(hvm: Callable[[HvmRecipe], HvmLab]) -> None:
    lab = hvm(HvmRecipe(guest="ipi", name="lost"))
    with Session(Opening(lambda: Bochs(lab.machine()))) as found:
        snapshot = waited_for(found, is_lost)
        sleeper = snapshot.by_name[SLEEPER]
        assert sleeper.pi
        assert (sleeper.blocked, sleeper.pi.pir, sleeper.pi.on, sleeper.pi.sn) == (True, (WAKER,), 0, 0)
        again = found.ask(["audit", "--again", "2", "--wait", "0.5"])
        assert again.status == 1
    # Another post, as a device's, wakes it: nothing but the lost one kept it asleep.
    done = post(lab, SLEEPER, 0x61)
    assert done.notified
    with Session(Opening(lambda: Bochs(lab.machine()))) as found:
        waited_for(found, lambda now: bool((pi := now.by_name[SLEEPER].pi) and 0x61 not in pi.pir))
    for name, vector in (("d1v9", 0x61), (SLEEPER, 3), (SLEEPER, 0x100)):
        with pytest.raises(LabError) as raised:
            post(lab, name, vector)
        assert "\n" not in str(raised.value)
    lab.down()


def test_the_page_has_the_finding_its_stores_the_model_and_the_control(
    hvm_packages: None, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["lab", "demo"])
    page, said = capsys.readouterr()
    assert status == 0, said
    assert f"bug       D5    {SLEEPER}     is blocked with vector {WAKER:#x} posted in PIR with ON=0 and SN=0" in page
    # The stores in their order: preempted, posted while SN is set, which sets no ON, run again, blocked.
    stores = page.partition(f"the stores to {SLEEPER} from the preemption on that led to this")[2].partition("$ ")[0]
    led = ["sn 0 -> 1", f"pir none -> {WAKER:#x}", "sn 1 -> 0", "vmx_vcpu_block", "nv 0xf2 -> 0xf3"]
    places = [stores.index(words) for words in led]
    assert places == sorted(places)
    assert "on 0" not in stores
    all_seen = re.search(r"^(\d+) of (\d+) changes are such", page, re.MULTILINE)
    assert all_seen
    assert all_seen[1] == all_seen[2]
    assert re.search(r"no stranded interrupt +broken.*no stranded interrupt +holds", page, re.DOTALL)
    control = page.partition("The control")[2]
    assert "D5: nothing found" in control
    assert "6 transitions; all that were asked for" in control
    assert LOST not in control
    assert not HvmLab.all()
