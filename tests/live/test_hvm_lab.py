"""A real Xen with real posted-interrupt descriptors: Debian's Xen in Debian's Bochs, our dom0 and our guests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from inspector.base.errors import VtdpiError
from inspector.capture.inspection import Inspection
from inspector.explore.coverage import coverage
from inspector.lab import LabError, labs
from inspector.lab.hvm.capture import capture
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.hvm.machine import HvmRecipe
from inspector.lab.hvm.switches import breakpoint_at
from inspector.model.snapshot import Snapshot
from inspector.profiles.functions import SymbolFile
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.live.bochs import Bochs
from inspector.targets.live.bochs_debugger import registers
from inspector.targets.live.bochs_watchpoints import PROCESSOR
from inspector.targets.open_file import open_file
from inspector.xen.percpu import STACK_SIZE

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hvm")]

FUNCTIONS = {
    *("vmx_deliver_posted_intr", "vmx_sync_pir_to_irr", "vmx_pi_switch_from", "vmx_pi_switch_to", "vmx_vcpu_block"),
    *("vmx_pi_unblock_vcpu", "pi_wakeup_interrupt"),
}
SITUATIONS = {"S1", "S2", "S3", "S4", "S7", "S8", "S11"}


@pytest.fixture(scope="module")
def storm(hvm: Callable[[HvmRecipe], HvmLab]) -> HvmLab:
    return hvm(HvmRecipe(guest="storm"))


def session(lab: HvmLab) -> Session:
    return Session(Opening(lambda: Bochs(lab.machine())))


@pytest.fixture
def asked(storm: HvmLab) -> Iterator[Session]:
    with session(storm) as found:
        yield found


def snapshot(found: Session) -> Snapshot:
    bochs = found.target
    assert isinstance(bochs, Bochs)
    with bochs.held():
        return found.inspection.again().snapshot


def test_the_descriptors_are_real_and_equal_what_bochs_sees(asked: Session) -> None:
    bochs = asked.target
    assert isinstance(bochs, Bochs)
    bochs.stop()
    seen = asked.inspection.snapshot
    vcpus = [vcpu for vcpu in seen.vcpus if vcpu.pi]
    assert [vcpu.name for vcpu in vcpus] == [f"d1v{number}" for number in range(6)]
    assert seen.intpost
    assert seen.pi_wakeup_vector
    for vcpu in vcpus:
        assert vcpu.pi
        shown = bochs.debugger.command(f"xp /64bx {vcpu.pi.address:#x}")
        theirs = bytes(
            int(word, 16)
            for line in shown.splitlines()
            if "[bochs]" not in line
            for word in line.partition(":")[2].split()
            if word.startswith("0x")
        )
        assert theirs == bochs.read(vcpu.pi.address, 64)
        assert vcpu.pi.nv in (seen.posted_intr_vector, seen.pi_wakeup_vector)
    for number, cpu in enumerate(bochs.cpus()):
        shown_vmx = bochs.debugger.parameters(f"cpu{number}.VMX")
        assert cpu.registers["vmcs"] == shown_vmx["vmcsptr"]
        assert cpu.registers["guest"] == shown_vmx["in_vmx_guest"]
        if cpu.registers["guest"]:
            assert any(vcpu.pi and vcpu.pi.address == shown_vmx["pid_addr"] for vcpu in vcpus)


def test_the_situations_are_met_within_a_minute(asked: Session) -> None:
    from inspector.analysis.situation import situation

    met: set[str] = set()
    begin = time.monotonic()
    while SITUATIONS - met and time.monotonic() - begin < 60:
        seen = snapshot(asked)
        found = (situation(seen, vcpu) for vcpu in seen.vcpus if vcpu.pi)
        met |= {one.id for one in found if one}
    assert met >= SITUATIONS


def test_reading_changes_nothing_and_the_machine_goes_on(asked: Session) -> None:
    bochs = asked.target
    assert isinstance(bochs, Bochs)
    assert bochs.running
    for words in (["vcpus"], ["pi", "d1v0"], ["blocked"], ["info"]):
        assert asked.ask(words).status == 0
        assert bochs.running
    bochs.stop()
    before = {known.start: bochs.read(known.start, known.size) for known in bochs.memory()}
    for words in (["vcpus"], ["audit"], ["blocked"], ["pi", "d1v1"]):
        asked.ask(words)
    assert {known.start: bochs.read(known.start, known.size) for known in bochs.memory()} == before
    bochs.cont()
    first = [vcpu.pi for vcpu in snapshot(asked).vcpus]
    deadline = time.monotonic() + 30
    while [vcpu.pi for vcpu in snapshot(asked).vcpus] == first:
        assert time.monotonic() < deadline


def test_the_command_line_finds_it(storm: HvmLab) -> None:
    env = {**os.environ, "XDG_STATE_HOME": str(storm.console.parents[3])}
    done = subprocess.run(
        [sys.executable, "-m", "inspector.frontends.cli", "live", "bochs:", "vcpus", "--json"],
        capture_output=True,
        text=True,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    names = [vcpu["name"] for vcpu in json.loads(done.stdout)["vcpus"]]
    assert "d1v0" in names
    listed = subprocess.run(
        [sys.executable, "-m", "inspector.frontends.cli", "lab", "list"], capture_output=True, text=True, env=env
    )
    assert f"vtdpi live bochs:{storm.name}" in listed.stdout


def traced(asked: Session, storm: HvmLab, path: Path) -> list[dict[str, Any]]:
    """The changes of a trace, none of which is lost: Bochs' own record of its stops has as many as were taken."""
    bochs = asked.target
    assert isinstance(bochs, Bochs)
    begin = storm.machine().answers.stat().st_size
    words = ["trace", "--seconds", "120", "--count", "2500", "--output", str(path)]
    hits: list[dict[str, Any]] = asked.ask(words).answer.document["hits"]
    assert len(hits) >= 2000
    with storm.machine().answers.open() as answers:
        answers.seek(begin)
        stops = [part for part in answers.read().split("<bochs:") if "Caught write watch point" in part]
    assert bochs.watchpoints
    assert bochs.watchpoints.stops + bochs.watchpoints.late == len(stops)
    return hits


def test_every_store_is_traced_with_its_cpu_function_and_line(asked: Session, storm: HvmLab, tmp_path: Path) -> None:
    bochs = asked.target
    assert isinstance(bochs, Bochs)
    path = tmp_path / "trace.jsonl"
    # Where two CPUs store to one word in one turn, and one of them is in its guest, what each found is not known: the
    # trace counts that, and another one is taken.
    for _ in range(4):
        hits = traced(asked, storm, path)
        assert bochs.watchpoints
        if not bochs.watchpoints.unsure:
            break
    by: dict[str, set[str]] = {}
    for hit in hits:
        by.setdefault(hit["function"], set()).update(hit["changes"])
        assert hit["function"] == PROCESSOR or hit["line"].startswith("vmx.c:")
    assert by["vmx_deliver_posted_intr"] == {"pir", "on"}
    assert by["vmx_sync_pir_to_irr"] == {"pir", "on"}
    assert by.get("vmx_pi_switch_from", set()) <= {"sn"}
    assert by.get("vmx_pi_switch_to", set()) <= {"sn", "ndst"}
    assert by.get("vmx_vcpu_block", set()) <= {"nv", "blocking_list", "blocking_lock"}
    assert set(by) <= FUNCTIONS | {PROCESSOR}
    assert by.get(PROCESSOR, set()) <= {"pir", "on"}
    assert bochs.running
    assert bochs.watchpoints.unsure == 0
    # The model can do each of them.
    held = coverage(path.read_text(), path.name, "current").document
    if refused := held["refused"]:
        shown = "\n".join(str(hit) for hit in hits[max(0, refused[0]["place"] - 30) : refused[0]["place"] + 5])
        kept = path.rename(Path(tempfile.gettempdir()) / f"refused-{os.getpid()}.jsonl")
        pytest.fail(f"the model refuses {refused}; the trace is {kept}, and there:\n{shown}")
    assert held["accepted_count"] == len(hits)
    assert held["gap_count"] == 0
    # Of whom a store is seen: running, woken and running, preempted, about to block, blocked.
    assert {name for name, count in held["situation_counts"].items() if count} >= {"S2", "S3", "S4", "S7", "S8"}
    assert sum(held["situation_counts"].values()) <= len(hits)
    for hit in hits:
        if hit["function"] == "vmx_vcpu_block":
            assert hit["situation"] == "S7"
        if hit["function"] == "pi_wakeup_interrupt":
            assert hit["situation"] not in ("S1", "S2")
    # Each change begins with what the last one left.
    known: dict[tuple[str, str], object] = {}
    for hit in hits:
        for field, change in hit["changes"].items():
            assert known.get((hit["vcpu"], field), change["before"]) == change["before"]
            known[hit["vcpu"], field] = change["after"]


def call_in_place_of_do_softirq(found: Session, symbols: Mapping[str, int], function: str, argument: int) -> None:
    """Stop where a CPU that runs none of domain 1's vCPUs comes to Xen's softirqs, and have it call this instead."""
    bochs, xen = found.target, found.inspection.again().xen
    assert isinstance(bochs, Bochs)
    assert xen
    domains = {vcpu.address: vcpu.domain for vcpu in found.inspection.snapshot.vcpus}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        breakpoint_at(bochs.debugger, symbols["do_softirq"], deadline)
        rsp = registers(bochs.debugger.command("r"))["rsp"]
        top = (rsp | STACK_SIZE - 1) + 1 - xen.profile.size("cpu_info")
        (current,) = xen.structs("cpu_info", [top], "current_vcpu")
        assert current
        if domains.get(current["current_vcpu"]) != 1:
            bochs.debugger.command(f"set rdi = {argument:#x}")
            bochs.debugger.command(f"set rip = {symbols[function]:#x}")
            return
    pytest.fail("no CPU does softirqs outside of domain 1")


def test_hooks_are_traced_as_xen_takes_them_away_and_brings_them_back(
    hvm: Callable[[HvmRecipe], HvmLab], tmp_path: Path
) -> None:
    """As when a domain's last device leaves and another one comes. The lab has no devices, so that nothing in it calls
    these functions of Xen's: the debugger has a CPU do so. All that they store is their own doing."""
    lab = hvm(HvmRecipe(guest="idle", vcpus=2, name="hooks"))
    symbols = SymbolFile(lab.symbols).addresses
    with session(lab) as found:
        bochs = found.target
        assert isinstance(bochs, Bochs)
        bochs.stop()
        (domain,) = [domain.address for domain in found.inspection.again().snapshot.domains if domain.domain == 1]
        removed = {"pi_ops.vcpu_block": {"before": "vmx_vcpu_block", "after": None}}
        installed = {"pi_ops.vcpu_block": {"before": None, "after": "vmx_vcpu_block"}}
        for function, wanted, left in (
            ("vmx_pi_hooks_deassign", [removed, {"pi_ops.flags": {"before": 3, "after": 2}}], {"switch_to"}),
            (
                "vmx_pi_hooks_assign",
                [{"pi_ops.flags": {"before": 2, "after": 3}}, installed],
                {"block", "switch_from", "switch_to"},
            ),
        ):
            lines, events = tmp_path / f"{function}.jsonl", tmp_path / f"{function}.json"
            call_in_place_of_do_softirq(found, symbols, function, domain)
            words = ["trace", "--seconds", "60", "--still", "10", "--count", "15"]
            told = found.ask([*words, "--output", str(lines), "--perfetto", str(events)]).answer.document
            assert told["left_out"] == []
            stores = [hit for hit in told["hits"] if "domain" in hit]
            assert [hit["changes"] for hit in stores] == wanted
            for hit in stores:
                assert (hit["domain"], hit["vcpu"], hit["function"], hit["kind"]) == ("d1", None, function, "write")
                assert hit["line"].startswith("vmx.c:")
            held = coverage(lines.read_text(), lines.name, "current").document
            assert (held["hook_change_count"], held["refused"]) == (2, [])
            tracks = [each for each in json.loads(events.read_text())["traceEvents"] if each["ph"] == "M"]
            assert {"domains", "d1"} <= {each["args"]["name"] for each in tracks}
            vcpus = found.inspection.again().snapshot.vcpus
            assert [set(vcpu.hooks) for vcpu in vcpus if vcpu.domain == 1] == [left, left]
        bochs.cont()


def test_a_capture_is_the_machine_as_it_stood(asked: Session, storm: HvmLab, tmp_path: Path) -> None:
    bochs = asked.target
    assert isinstance(bochs, Bochs)
    bochs.stop()
    live = asked.inspection.again().snapshot
    path = tmp_path / "storm.core.zst"
    pages = capture(storm, path)
    assert 0 < path.stat().st_size < 1 << 20
    assert not bochs.running
    with path.open("rb") as packed, (tmp_path / "storm.core").open("wb") as core:
        zstandard.ZstdDecompressor().copy_stream(packed, core)
    with open_file(tmp_path / "storm.core") as dump:
        assert sum(each.size for each in dump.memory() or ()) == pages * 4096 < bochs.ram.size
        saved = Inspection(dump).snapshot
        assert saved.vcpus == live.vcpus
        assert saved.lists == live.lists
        assert [(cpu.rip, cpu.mode) for cpu in saved.cpus] == [(cpu.rip, cpu.mode) for cpu in live.cpus]
    bochs.cont()


def test_xen_answers_debug_keys(storm: HvmLab) -> None:
    text = storm.keys("q")
    assert text.startswith("(XEN) 'q' pressed")
    after = text.partition("VCPU information and callbacks for domain 1:")[2]
    assert [f"VCPU{number}:" in after for number in range(7)] == [True] * 6 + [False]
    with pytest.raises(LabError, match="one printable ASCII character"):
        storm.keys("qq")


def test_watch_and_audit_let_it_run_on(asked: Session, storm: HvmLab) -> None:
    bochs = asked.target
    assert isinstance(bochs, Bochs)
    asked.ask(["audit", "--again", "1", "--wait", "0.1"])
    assert bochs.running
    asked.ask(["watch", "--count", "3", "--interval", "0.05"])
    assert bochs.running


def test_saved_compared_reported_and_traced_for_perfetto(asked: Session, tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    assert asked.ask(["save", str(first)]).status == 0
    deadline = time.monotonic() + 60
    while not (changed := asked.ask(["diff", str(first)]).answer.document["changes"]):
        assert time.monotonic() < deadline
    assert {each["subject"].partition("v")[0] for each in changed} & {"CPU 0", "CPU 1", "d1"}
    assert asked.ask(["save", str(second)]).status == 0
    lines, events, page = (tmp_path / name for name in ("t.jsonl", "t.json", "r.html"))
    words = ["trace", "--seconds", "60", "--count", "50", "--output", str(lines), "--perfetto", str(events)]
    assert len(asked.ask(words).answer.document["hits"]) == 50
    tracks = {each["args"]["name"] for each in json.loads(events.read_text())["traceEvents"] if each["ph"] == "M"}
    assert {"physical CPUs", "vCPUs"} <= tracks
    assert tracks & {"CPU 0", "CPU 1"}
    assert asked.ask(["report", str(page), "--trace", str(lines)]).status == 0
    assert "vmx_deliver_posted_intr" in page.read_text()
    assert isinstance(asked.target, Bochs)
    assert asked.target.running


def test_a_session_that_stopped_it_lets_it_run_again(storm: HvmLab) -> None:
    with session(storm) as found:
        assert isinstance(found.target, Bochs)
        found.target.stop()
        assert not found.target.running
    with session(storm) as found:
        assert isinstance(found.target, Bochs)
        assert found.target.running


def test_one_that_was_held_when_its_reader_was_killed_runs_again(storm: HvmLab) -> None:
    machine = storm.machine()
    reader = """
import sys
from inspector.lab import labs
from inspector.targets.live.bochs import Bochs
with Bochs(labs.find_hvm(sys.argv[1]).machine()) as bochs, bochs.held():
    print("held", flush=True)
    sys.stdin.read()
"""
    env = {**os.environ, "XDG_STATE_HOME": str(storm.console.parents[3])}
    words = [sys.executable, "-c", reader, storm.name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    state = Path(f"/proc/{machine.pid}/stat")
    assert state.read_text().rpartition(")")[2].split()[0] == "T"
    with session(storm) as found:
        assert found.ask(["vcpus"]).status == 0
    deadline = time.monotonic() + 20
    while state.read_text().rpartition(")")[2].split()[0] == "T":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_bochs_that_dies_and_a_stale_name_are_one_line(hvm: Callable[[HvmRecipe], HvmLab]) -> None:
    lab = hvm(HvmRecipe(guest="idle", cpus=1, vcpus=2, name="dies"))
    with session(lab) as found:
        assert len([vcpu for vcpu in snapshot(found).vcpus if vcpu.pi]) == 2
        os.kill(lab.pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while lab.is_running():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(VtdpiError) as raised:
            found.ask(["vcpus"])
        assert "\n" not in str(raised.value)
        with pytest.raises(LabError, match="no HVM lab dies is running"):
            labs.find_hvm("dies")
