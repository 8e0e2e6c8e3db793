"""The audit of real captures: silent about what is legal, and the lost wake-ups named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from inspector.analysis.situation import situation
from inspector.audit import Finding, audit, confirm
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import IDLE, Snapshot
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range
from inspector.targets.target import Cpu, Target
from inspector.xen.percpu import IRQ_STAT_SIZE

PI_CONTROL = 32
"""Where ON, SN and NV are in a descriptor, after PIR."""
GOLDEN = Path(__file__).parents[2] / "data/golden"
EXPECTED = {
    path.name.removeprefix("xen-4.20.3-").removesuffix(".expected.json"): json.loads(path.read_text())
    for path in sorted(GOLDEN.glob("*.expected.json"))
}
HEALTHY = [name for name, expected in EXPECTED.items() if expected["bug"] is False]

Take = Callable[[str], Snapshot]


@pytest.fixture
def take(golden: Callable[[str], Path]) -> Take:
    """Call it with a capture's name for its snapshot."""

    def taken(name: str) -> Snapshot:
        with open_file(golden(name)) as target:
            return Inspection(target).snapshot

    return taken


@pytest.mark.parametrize("name", HEALTHY)
def test_no_bug_is_found_where_there_is_none(take: Take, name: str) -> None:
    assert len(HEALTHY) == 7
    assert [finding for finding in audit(take(name)) if finding.severity == "bug"] == []


@pytest.mark.parametrize("name", [name for name in HEALTHY if name != "cpu-offline-before-fixup"])
def test_nor_is_there_a_suspicion(take: Take, name: str) -> None:
    assert [finding for finding in audit(take(name)) if finding.severity == "warning"] == []


def test_a_cpu_that_goes_offline_is_a_suspicion_until_its_list_was_moved(take: Take) -> None:
    before, after = take("cpu-offline-before-fixup"), take("cpu-offline-after-fixup")
    assert {finding.rule for finding in audit(before)} == {"D16", "D27"}
    assert confirm([before, after]) == []


@pytest.mark.parametrize("name", ["lost-wakeup", "linux-guest-hung", "post-in-progress-or-stranded"])
def test_what_is_stranded_is_named(take: Take, name: str) -> None:
    snapshot = take(name)
    (finding,) = [finding for finding in audit(snapshot) if finding.severity != "info"]
    (vcpu,) = EXPECTED[name]["stranded"]
    (vector,) = snapshot.by_name[vcpu].pi.pir  # type: ignore[union-attr]
    assert (finding.rule, finding.subject) == ("D5", vcpu)
    assert f"{vector:#x}" in finding.message
    in_xen = not all(cpu["in_guest_mode"] for cpu in EXPECTED[name]["cpus"])
    assert (finding.severity, finding.suspicion) == (("warning", True) if in_xen else ("bug", False))


def test_a_second_capture_confirms(take: Take) -> None:
    found = confirm([take("lost-wakeup"), take("lost-wakeup-1s-later")])
    assert [(f.rule, f.severity, f.subject) for f in found] == [("D5", "bug", "d1v2")]


class Written(Target):
    """A target, and 32-bit words that were written into its memory since."""

    def __init__(self, whole: Target, words: dict[int, int]) -> None:
        self.whole, self.words, self.description = whole, words, whole.description

    def read(self, address: int, size: int) -> bytes:
        raw = bytearray(self.whole.read(address, size))
        for place, value in self.words.items():
            if address <= place and place + 4 <= address + size:
                raw[place - address : place - address + 4] = value.to_bytes(4, "little")
        return bytes(raw)

    def memory(self) -> Sequence[Range]:
        return self.whole.memory()

    def cpus(self) -> Sequence[Cpu]:
        return self.whole.cpus()


# In its virtual local APIC, a vCPU of each: both CPUs are in the guest; a CPU executes Xen; so, and it is held there.
@pytest.mark.parametrize(
    ("name", "vcpu", "severity"),
    [("two-in-guest", "d1v4", "bug"), ("blocking-in-progress", "d1v4", "warning"), ("xapic-4-cpus", "d1v2", "warning")],
)
def test_an_interrupt_written_into_the_irr_of_a_blocked_vcpu(
    golden: Callable[[str], Path], name: str, vcpu: str, severity: str
) -> None:
    with open_file(golden(name)) as target:
        inspection = Inspection(target)
        assert inspection.xen
        held = inspection.snapshot.by_name[vcpu]
        assert (held.blocked, held.irr, held.isr, held.tpr, held.interruptible) == (True, (), (), 0, True)
        row = inspection.xen.structs("vcpu", [held.address], "arch.hvm.vlapic.regs")[0]
        assert row
        page = inspection.xen.memory.translate(row["arch.hvm.vlapic.regs"])
        interrupt = {page + 0x240: 1 << 3}
        (finding,) = audit(Inspection(Written(target, interrupt)).snapshot)
        assert (finding.rule, finding.severity, finding.subject) == ("D30", severity, vcpu)
        assert "vector 0x83" in finding.message
        assert audit(Inspection(Written(target, interrupt | {page + 0x80: 0x80})).snapshot) == []


def test_cpus_that_all_wait_in_mwait_settle_what_was_a_suspicion(golden: Callable[[str], Path]) -> None:
    """An unseen interrupt and a stranded vector are bugs then, and so is an unanswered notification: no device posts to
    this vCPU, and Xen, when it posts itself, wakes at once."""
    vcpu = "d1v2"
    with open_file(golden("xapic-4-cpus")) as target:
        inspection = Inspection(target)
        assert inspection.xen
        held = inspection.snapshot.by_name[vcpu]
        assert held.pi
        assert (held.blocked, held.pi.on, held.pi.sn) == (True, 0, 0)
        xen = inspection.xen
        row = xen.structs("vcpu", [held.address], "arch.hvm.vlapic.regs")[0]
        assert row
        interrupt = {xen.memory.translate(row["arch.hvm.vlapic.regs"]) + 0x240: 1 << 3}
        notification = {held.pi.address + PI_CONTROL: 1 | held.pi.nv << 16}
        stranded = {held.pi.address + 0x52 // 8: 1 << 0x52 % 8}
        in_mwait = xen.profile.symbol("irq_stat") + xen.profile.offset("irq_cpustat_t", "in_mwait")
        waiting = {xen.memory.translate(in_mwait + IRQ_STAT_SIZE * cpu.cpu): 1 for cpu in inspection.snapshot.online}

        def look(words: dict[int, int]) -> Snapshot:
            return Inspection(Written(target, words)).snapshot

        def said(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
            return [(finding.rule, finding.severity, finding.subject) for finding in findings]

        assert all(cpu.mode == IDLE for cpu in look(waiting).online)
        assert said(audit(look(interrupt))) == [("D30", "warning", vcpu)]
        assert said(audit(look(interrupt | waiting))) == [("D30", "bug", vcpu)]
        assert said(audit(look(stranded))) == [("D5", "warning", vcpu)]
        assert said(audit(look(stranded | waiting))) == [("D5", "bug", vcpu)]
        assert said(audit(look(notification))) == [("D4", "warning", vcpu)]
        (unanswered,) = audit(look(notification | waiting))
        assert said([unanswered]) == [("D4", "bug", vcpu)]
        assert "no device posts to it" in unanswered.message
        assert said(confirm([look(notification), look(notification)])) == [("D4", "bug", vcpu)]
        # A run state that is being written: whether the vCPU has moved in between cannot be told.
        seq = xen.memory.translate(held.address + xen.profile.offset("vcpu", "runstate_seq"))
        writing = [look(notification | {seq: 7}) for _ in range(2)]
        assert said(confirm(writing)) == [("D4", "warning", vcpu)]


def test_priorities_and_rflags_of_a_real_guest(take: Take) -> None:
    found = {
        vcpu.name: (vcpu.tpr, vcpu.ppr, vcpu.apic_off, vcpu.interruptible, vcpu.polling)
        for vcpu in take("linux-guest-hung").vcpus
        if vcpu.hvm
    }
    # Linux sets TPR to 0x10 (setup_local_APIC). vCPUs 2 and 3 were not yet started up by it: d1v3 is in the guest.
    up, down = (0x10, 0x10, False, True, False), (0, 0, True)
    assert (found["d1v0"], found["d1v1"]) == (up, up)
    assert (found["d1v2"], found["d1v3"]) == ((*down, False, False), (*down, None, False))


SITUATIONS = {
    "two-in-guest": "S1 S8 S1 S4 S8 S8",
    "woken-still-listed": "S1 S4 S1 S4 S8 S8",
    "post-in-progress-or-stranded": "S2 S8 S8 S4 S8 S8",
    "blocking-in-progress": "S4 S7 S3 S4 S8 S8",
    "lost-wakeup": "S4 S8 S8 S1 S1 S8",
    "linux-guest-hung": "S8 S8 S2 S1",
    "hooks-not-installed": "S13 S13 S13 S13 S13 S13",
    "xapic-4-cpus": "S1 S11 S9 S2 S8 S8",
    "cpu-offline-before-fixup": "S4 S12 S12 S4 S8 S8",
    "cpu-offline-after-fixup": "S1 S8 S4 S4 S8 S8",
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_where_each_vcpu_stands(take: Take, name: str) -> None:
    snapshot = take(name)
    found = [situation(snapshot, vcpu) for vcpu in snapshot.vcpus if vcpu.hvm]
    assert " ".join(where.id if where else "?" for where in found) == SITUATIONS[name]
    assert all(where and where.evidence for where in found)
    assert all(situation(snapshot, vcpu) is None for vcpu in snapshot.vcpus if not vcpu.hvm)
