"""Captures of HVM labs (Xen 4.20.4 in Bochs): what is read of them against what gdb read of the machine with xen-syms.

`*.expected.json` was made by gdb's own reading of Xen's types (DWARF), as the machine stood when it was captured.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.analysis.situation import situation
from inspector.audit import audit
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import BLOCK, Snapshot
from inspector.targets.open_file import open_file

DATA = Path(__file__).parents[2] / "data/hvm"
NAMES = [path.name.removesuffix(".expected.json") for path in sorted(DATA.glob("*.expected.json"))]
WOKEN, LOST, OFF = "xen-4.20.4-woken", "xen-4.20.4-lost-ipi", "xen-4.20.4-posting-off"


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{name}.expected.json").read_text())
    return found


@pytest.fixture
def take(unpacked: Callable[[str], Path]) -> Callable[[str], Snapshot]:
    """Call it with a capture's name for its snapshot."""

    def taken(name: str) -> Snapshot:
        with open_file(unpacked(f"hvm/{name}.core")) as target:
            return Inspection(target).snapshot

    return taken


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_gdb_read(take: Callable[[str], Snapshot], name: str) -> None:
    assert {WOKEN, LOST, OFF} == set(NAMES)
    snapshot, known = take(name), expected(name)
    assert snapshot.posted_intr_vector == known["posted_intr_vector"]
    assert snapshot.pi_wakeup_vector == known["pi_wakeup_vector"]
    assert snapshot.intpost == known["iommu_intpost"]
    assert [vcpu.name for vcpu in snapshot.vcpus] == [f"d{each['domain']}v{each['vcpu']}" for each in known["vcpus"]]
    for vcpu, each in zip(snapshot.vcpus, known["vcpus"], strict=True):
        assert (vcpu.cpu, vcpu.runstate) == (each["processor"], each["runstate"])
        assert (vcpu.pause_flags, vcpu.blocked) == (each["pause_flags"], each["blocked"])
        if "pi" in each:
            assert vcpu.pi
            assert {field: getattr(vcpu.pi, field) for field in ("on", "sn", "nv", "ndst")} | {
                "pir": list(vcpu.pi.pir)
            } == each["pi"]
            assert (BLOCK in vcpu.hooks) == each["hooks_installed"]
        else:
            assert vcpu.pi is None
    lists = {str(each.cpu): [node.vcpu for node in each.nodes] for each in snapshot.lists}
    assert lists == known["blocking_lists"]


def test_one_that_was_woken_and_does_not_run_yet(take: Callable[[str], Snapshot]) -> None:
    snapshot = take(WOKEN)
    found = situation(snapshot, snapshot.by_name["d1v1"])
    assert found
    assert found.id == "S11"
    assert not [finding for finding in audit(snapshot) if finding.severity == "bug"]


def test_the_lost_wakeup_is_named_and_without_posting_there_is_none(take: Callable[[str], Snapshot]) -> None:
    found = [finding for finding in audit(take(LOST)) if finding.rule == "D5"]
    assert [finding.subject for finding in found] == ["d1v2"]
    assert "0x52" in found[0].message
    off = take(OFF)
    assert not [finding for finding in audit(off) if finding.severity != "info"]
    assert {found.id for vcpu in off.vcpus if vcpu.pi and (found := situation(off, vcpu))} == {"S13"}


@pytest.mark.parametrize("name", NAMES)
def test_no_page_of_a_guest_is_in_it(unpacked: Callable[[str], Path], name: str) -> None:
    assert (DATA / f"{name}.core.zst").stat().st_size < 200_000
    raw = unpacked(f"hvm/{name}.core").read_bytes()
    assert b"vtdpi guest: gate:" not in raw
    assert b"vtdpi dom0: key:" not in raw
