"""What is not there is told by every command alike, in words and in JSON."""

from __future__ import annotations

import pytest

LOG = """\
(XEN) Xen version 4.17.1 (user@host) (gcc) debug=n Mon Jan  1 00:00:00 UTC 2024
(XEN) iommu 0: nr_pt_levels = 4.
(XEN)   Interrupt Posting: not supported.
(XEN)   Interrupt remapping table (nr_entry=0x10000. Only dump P=1 entries here):
(XEN) R:  0018:  1   0  0010 b9    0   0 00000004   1  0  1
(XEN) R:  0019:  1   0  0300 c1    0   0 00000004   1  0  1  1 1
(XEN) General information for domain 1:
(XEN)     refcnt=3 dying=0 pause_count=0
(XEN)     paging assistance: hap refcounts
(XEN)     VCPU0: CPU3 [has=T] poll=0 upcall_pend=00 upcall_mask=00 dirty_cpu=3
(XEN)     pause_count=0 pause_flags=0
"""
COMMANDS = ("info", "irt", "irte 0x19", "vcpus", "audit", "route irte 0x19")
"""Not `blocked`: no debug key prints a list, so there is no answer from a log at all."""


@pytest.mark.parametrize("words", COMMANDS)
def test_a_damaged_row_is_told_by_every_command(run, tmp_path, words: str) -> None:
    log = tmp_path / "console.log"
    log.write_text(LOG)
    answer = run("dump", log, *words.split(), "--json")
    assert answer.status == 3
    assert "0018" in answer.err
    (absence,) = [each for each in answer.json["absent"] if "0018" in each["why"]]
    assert absence["kind"] == "unreadable"
    assert absence["subject"]


def test_a_target_without_units_says_why(run, golden) -> None:
    answer = run("dump", golden("lost-wakeup"), "irt")
    assert answer.status == 3
    assert "tells of no VT-d unit: no VT-d unit found: no ACPI root pointer" in answer.err


def test_a_unit_that_there_is_not(run) -> None:
    answer = run("sim", "irt", "--unit", "7")
    assert answer.status == 2
    assert "no unit 7; there are 0" in answer.err
