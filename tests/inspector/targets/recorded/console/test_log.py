"""Console logs with debug keys' output: real ones, and real ones made ugly."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from inspector.audit import audit
from inspector.base.errors import TargetError
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot
from inspector.targets.open_file import open_file
from structs.irte import POSTED

LIVE = ("xen-4.17.7_qemu-7.2_dom0", "xen-4.20.3_qemu-7.2_dom0")

# As Xen 4.20.3 prints it; the addresses are of a machine with more than 4 GiB.
POSTED_ROWS = """\
(XEN) Xen version 4.20.3 (Debian 4.20.3+127-gc42374a105-0+deb13u1) (pkg@debian.org) (gcc (Debian) 14) debug=n
(XEN) Intel VT-d Posted Interrupt enabled.
(XEN) iommu 1: nr_pt_levels = 3.
(XEN)   Interrupt Posting: supported.
(XEN)   Interrupt remapping table (nr_entry=0x10000. Only dump P=1 entries here):
(XEN) P:       SVT  SQ   SID  V  AVL FPD              PDA  URG P
(XEN) P:  0018:  1   0  0300 61    0   0        13bd2680    0 1
(XEN) P:  0019:  1   0  0300 62    0   0 ffffffff83f12340    0 1
(XEN) P:  001a:  1   0  0300 63    0   0 0000000283f12340    0 1
(XEN) Direct vector information:
(XEN)    0xf2 -> arch/x86/hvm/vmx/vmx.c#pi_notification_interrupt()
(XEN)    0xf3 -> vmx.c#pi_wakeup_interrupt()
"""

# As a real Xen 4.20.3 answered `q` (a dom0 of one vCPU), with a hardware-virtualised vCPU after the same pattern.
DOMAINS = """\
(XEN) General information for domain 0:
(XEN)     refcnt=3 dying=0 pause_count=0
(XEN)     nr_pages=65536 xenheap_pages=2 dirty_cpus={} max_pages=4294967295
(XEN) VCPU information and callbacks for domain 0:
(XEN)   UNIT0 affinities: hard={0} soft={0}
(XEN)     VCPU0: CPU0 [has=F] poll=0 upcall_pend=00 upcall_mask=00
(XEN)     pause_count=0 pause_flags=1
(XEN) No periodic timer
(XEN) General information for domain 1:
(XEN)     refcnt=3 dying=0 pause_count=1
(XEN) VCPU information and callbacks for domain 1:
(XEN)     VCPU0: CPU3 [has=T] poll=0 upcall_pend=00 upcall_mask=01 dirty_cpu=3
(XEN)     pause_count=0 pause_flags=0
(XEN)     paging assistance: hap, 4 levels
"""


def inspection(text: str, tmp_path: Path) -> Snapshot:
    """The snapshot of a log."""
    path = tmp_path / "console.log"
    path.write_text(text)
    with open_file(path) as target:
        return Inspection(target).snapshot


@pytest.fixture(params=LIVE)
def folder(request: pytest.FixtureRequest, data: Path) -> Path:
    """The capture of a real machine."""
    return data / "live" / request.param


def present(folder: Path) -> dict[int, bytes]:
    """The entries with P=1 of the table that was read from the machine's memory."""
    raw = gzip.decompress((folder / "irt.bin.gz").read_bytes())
    return {at // 16: raw[at : at + 16] for at in range(0, len(raw), 16) if raw[at] & 1}


def entries(snapshot: Snapshot) -> dict[int, bytes]:
    """The entries of the only unit."""
    (unit,) = snapshot.units
    return {index: unit.raw[at * 16 : at * 16 + 16] for at, index in enumerate(unit.indices)}


def test_every_entry_is_the_one_in_memory(folder: Path, tmp_path: Path) -> None:
    snapshot = inspection((folder / "debug-keys.txt").read_text(), tmp_path)
    assert entries(snapshot) == present(folder)
    assert snapshot.units[0].cap_pi == 0
    assert snapshot.units[0].size == 65536
    assert {pin.pin: pin.index for pin in snapshot.pins} == {n: n for n in range(24)}
    assert len(snapshot.msis) > 6
    assert snapshot.problems == ()
    assert audit(snapshot) == []


def test_prefixes_timestamps_and_other_lines_do_not_matter(folder: Path, tmp_path: Path) -> None:
    choice = random.Random(1)
    lines = []
    for line in (folder / "debug-keys.txt").read_text().splitlines():
        lines.append(line.replace("(XEN) ", f"Nov 22 12:00:01 host xend[7]: (XEN) [2026-11-22 12:00:01.{len(lines)}] "))
        if choice.random() < 0.5:
            lines.append("[   12.345678] usb 1-1: new device, R:  0000: 9 9 9")
        if choice.random() < 0.2:
            lines.append("(XEN) uart interrupt taking more than 4ms, switched to polling")
    assert entries(inspection("\r\n".join(lines), tmp_path)) == present(folder)


def test_the_last_answer_counts(folder: Path, tmp_path: Path) -> None:
    text = (folder / "debug-keys.txt").read_text()
    older = text.replace("(XEN) R:  0001:  1   0  ff00 40", "(XEN) R:  0001:  1   0  ff00 99").replace(
        "R:  0001", "R:  0999"
    )
    assert entries(inspection(older + text, tmp_path)) == present(folder)


def test_a_damaged_row_is_told_and_the_rest_is_there(folder: Path, tmp_path: Path) -> None:
    text = (folder / "debug-keys.txt").read_text().replace("(XEN) R:  0015:", "(XEN) R:  0015: [ok] systemd")
    snapshot = inspection(text, tmp_path)
    assert present(folder).keys() - entries(snapshot).keys() == {0x15}
    (problem,) = snapshot.problems
    assert "is damaged" in problem
    assert "systemd" in problem


def test_posted_rows_and_what_xen_says_of_itself(tmp_path: Path) -> None:
    snapshot = inspection(POSTED_ROWS, tmp_path)
    assert (snapshot.version, snapshot.release, snapshot.intpost) == ("4.20.3", (4, 20), True)
    assert (snapshot.posted_intr_vector, snapshot.pi_wakeup_vector) == (0xF2, 0xF3)
    decoded = {index: POSTED.parse(raw) for index, raw in entries(snapshot).items()}
    assert [entry["vector"] for entry in decoded.values()] == [0x61, 0x62, 0x63]
    assert [hex(entry["pda"]) for entry in decoded.values()] == ["0x13bd2680", "0x83f12340", "0x283f12340"]
    (problem,) = snapshot.problems
    assert "entry 0x19" in problem
    assert "sign-extended" in problem


def test_a_sign_extended_pda_of_an_old_xen_is_repaired(tmp_path: Path) -> None:
    snapshot = inspection(POSTED_ROWS.replace("version 4.20.3", "version 4.8.5"), tmp_path)
    assert POSTED.parse(entries(snapshot)[0x19])["pda"] == 0x83F12340
    assert snapshot.problems == ()


def test_domains_and_vcpus(tmp_path: Path) -> None:
    snapshot = inspection(DOMAINS, tmp_path)
    host, guest = snapshot.vcpus
    assert (host.name, host.runstate, host.blocked, host.cpu, host.hvm) == ("d0v0", "blocked", True, 0, False)
    assert (guest.name, guest.runstate, guest.is_running, guest.dirty_cpu, guest.hvm) == (
        "d1v0",
        "running",
        True,
        3,
        True,
    )
    assert guest.pause_count == 1


def test_the_commands_answer_from_a_log(run, folder: Path) -> None:
    log = folder / "debug-keys.txt"
    (unit,) = run("dump", log, "irt", "--json").json["units"]
    assert {entry["index"] for entry in unit["entries"]} == present(folder).keys()
    # Not each log tells the IO-APIC's id (key `z` does).
    sources = [{"ioapic_id": 0, **entry["source"]} for entry in unit["entries"]]
    assert {"kind": "ioapic", "ioapic_id": 0, "ioapic": 0, "pin": 4} in sources
    assert "IO-APIC 0 pin 4" in run("dump", log, "route", "ioapic", "4").out
    assert run("dump", log, "irte", "0x18").status == run("dump", log, "audit").status == 0
    assert "tells of no vCPU" in run("dump", log, "vcpus").err


def test_a_text_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="text file"):
        inspection("hello\n", tmp_path)
    with pytest.raises(TargetError, match="none of its debug keys"):
        inspection("(XEN) hello\n", tmp_path)
