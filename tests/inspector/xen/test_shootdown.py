from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.capture.inspection import Inspection
from inspector.model.snapshot import CRASHED, CRASHED_OR_IN_GUEST, IN_GUEST, IN_XEN, Snapshot
from inspector.targets.dump.elf_core import ElfCore
from inspector.xen import shootdown

Crashed = Callable[..., Path]


def look(path: Path) -> Snapshot:
    with ElfCore(path) as target:
        return Inspection(target).snapshot


def test_where_cpus_were(golden: Callable[[str], Path], crashed: Crashed) -> None:
    before = look(golden("linux-guest-hung"))
    assert [cpu.mode for cpu in before.cpus] == [IN_GUEST, IN_XEN]
    after = look(crashed("linux-guest-hung"))
    assert [cpu.mode for cpu in after.cpus] == [CRASHED_OR_IN_GUEST, IN_XEN]
    assert after.cpus[1].rip == before.cpus[1].rip
    assert [cpu.current for cpu in after.cpus] == [cpu.current for cpu in before.cpus]
    assert after.cpus[0].in_guest is None


def test_the_one_that_crashed_in_its_idle_vcpu_tells_that_the_others_were_in_guests(crashed: Crashed) -> None:
    after = look(crashed("woken-still-listed", crashing=0))
    modes = {cpu.cpu: cpu.mode for cpu in after.cpus}
    assert set(modes.values()) <= {CRASHED, CRASHED_OR_IN_GUEST, IN_GUEST}


@pytest.mark.parametrize(
    "registers", [{}, {"rsp": 0xFFFF830027D77C50}, {"rsp": 0xFFFF830027D76F10}, {"rsp": 0x1234}, {"rsp": 1 << 63}]
)
def test_no_frame_no_change(crashed: Crashed, registers: dict[str, int]) -> None:
    with ElfCore(crashed("two-in-guest")) as target:
        xen = Inspection(target).xen
        assert xen
        assert shootdown.before_the_nmi(xen, registers) is registers
