"""Snapshots of a live Xen: what its debug keys print, sound when nothing is wrong, the same if nothing has run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inspector.analysis.diff import diff
from inspector.audit import audit, confirm
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot, dumps, loads
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.open_file import open_file
from inspector.xen.irqs import pirqs
from tests.inspector.analysis.test_one_source import same_source_everywhere

pytestmark = pytest.mark.live


def entries(snapshot: Snapshot) -> dict[int, bytes]:
    """The present entries of the only unit."""
    (unit,) = snapshot.units
    return {index: unit.raw[at * 16 : at * 16 + 16] for at, index in enumerate(unit.indices)}


def told_by_keys(lab, keys: str, directory: Path) -> Snapshot:
    """What Xen prints when it is asked, read as a console log."""
    log = directory / "console.log"
    log.write_text("".join(lab.keys(key) for key in keys))
    with open_file(log) as target:
        return Inspection(target).snapshot


def test_a_healthy_xen_breaks_no_rule(lab_dom0, tmp_path):
    with GdbMi(lab_dom0.gdb) as target:
        first = Inspection(target).snapshot
        assert audit(first) == []
        assert first.problems == ()
        assert loads(dumps(first)) == first
        assert diff(first, Inspection(target).snapshot) == []
        target.cont()
        target.stop()
        assert confirm([first, Inspection(target).snapshot]) == []
    printed = told_by_keys(lab_dom0, "Vqi", tmp_path)
    assert entries(printed) == entries(first)
    assert [(vcpu.name, vcpu.cpu) for vcpu in printed.vcpus] == [(vcpu.name, vcpu.cpu) for vcpu in first.vcpus]
    assert printed.problems == ()


def test_commands_completion_and_report_name_the_same_sources(lab_dom0):
    with GdbMi(lab_dom0.gdb, qmp=str(lab_dom0.qmp)) as target:
        assert same_source_everywhere(target) > 20


def test_the_tree_of_pirqs_is_the_one_that_xen_lists(lab_dom0):
    with GdbMi(lab_dom0.gdb) as target:
        xen = Inspection(target).xen
        assert xen
        rows = xen.structs("pirq", pirqs(xen, xen.pointer("domain_list")), "pirq")
        found = [row["pirq"] for row in rows if row]
    listed = {int(number) for number in re.findall(r" d0: *(\d+)\(", lab_dom0.keys("i"))}
    assert len(listed) > 6
    assert listed <= set(found)
    assert found == sorted(found)


def test_entries_that_xen_posted(lab_posted, tmp_path):
    lab = lab_posted.lab
    with GdbMi(lab.gdb) as target:
        snapshot = Inspection(target).snapshot
    assert entries(told_by_keys(lab, "V", tmp_path)) == entries(snapshot)
    found = audit(snapshot)
    # QEMU's unit cannot post, and the descriptors that the entries were made to name are no vCPU's.
    assert {finding.rule for finding in found} == {"D14", "D17", "D21"}
    assert all(finding.severity == "bug" for finding in found)
