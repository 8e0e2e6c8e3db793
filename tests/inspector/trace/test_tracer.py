"""A simulated machine traced, and the files that come of it."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from inspector.trace import perfetto
from inspector.trace.functions import Functions
from inspector.trace.trace_event import HOOK
from inspector.trace.trace_file import loads
from inspector.trace.tracer import _Tracer, trace, traced
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

PHASES = {"M": {"args"}, "i": {"s"}, "X": {"dur"}}


@pytest.fixture
def machine():
    machine = Machine(load("wakeup-storm"), seed=11)
    machine.run(3000)
    return machine


def noted(hits, seen):
    """The hits, each noted when it comes; what is returned stays that."""
    while True:
        try:
            seen.append(next(hits))
        except StopIteration as end:
            return end.value
        yield seen[-1]


def test_what_has_no_room_among_the_tripwires_is_told(machine):
    snapshot = (inspection := Inspection(Simulation(machine))).snapshot
    vcpus = [vcpu for vcpu in snapshot.vcpus if vcpu.pi]
    hooks = sorted({f"the posting hooks of d{vcpu.domain}" for vcpu in vcpus})
    lists = len(snapshot.lists) + len(vcpus)

    def left_out(room):
        tracer = _Tracer(inspection.xen, vcpus, {})
        tracer.follow(snapshot, room, None)
        assert len(tracer.writes(vcpus)) <= len(vcpus) + max(room, 0)
        return tracer.left_out

    assert left_out(lists + len(hooks)) == []
    assert left_out(lists) == hooks
    # The lists are followed all or not at all.
    assert left_out(lists - 1) == ["the blocking lists", *hooks[lists - 1 :]]
    assert left_out(0) == left_out(-3) == ["the blocking lists", *hooks]


def test_a_storm_traced_is_its_own_step_log(machine, step_log):
    wanted = step_log(machine, 400)
    target = Simulation(machine)
    inspection = Inspection(target)
    seen = []
    found = traced(noted(trace(inspection, target, [v for v in inspection.snapshot.vcpus if v.pi], {}, 400, 60), seen))
    assert [(hit.time, hit.vcpu, hit.changes) for hit in found.hits] == [(time, *rest) for time, _, *rest in wanted]
    for hit, (_, actor, *_) in zip(found.hits, wanted, strict=True):
        assert hit.where == (actor if actor.startswith("CPU") else "device")
    assert seen == found.hits
    assert machine.memory.observer is None


def test_hooks_are_told_with_the_vcpu_that_enters_them(machine):
    other = machine.copy()
    target = Simulation(machine)
    inspection = Inspection(target)
    hooks = {"vmx_vcpu_block": Functions(inspection.xen.profile)["vmx_vcpu_block"]}
    found = traced(trace(inspection, target, [v for v in inspection.snapshot.vcpus if v.pi], hooks, 20, 60))
    wanted = []
    while len(wanted) < 20:
        other.step()
        if other.entered and other.entered[1] == "vmx_vcpu_block":
            cpu = int(other.entered[0].removeprefix("CPU "))
            wanted.append((other.steps - 3000, cpu, other.vcpu_name(other.cpus[cpu].current)))
    assert [(hit.time, hit.cpu, hit.vcpu) for hit in found.hits] == wanted
    assert {(hit.kind, hit.function) for hit in found.hits} == {(HOOK, "vmx_vcpu_block")}


def test_a_machine_that_comes_to_rest_ends_the_trace(run):
    ran = run("sim", "--scenario", "idle", "--steps", 100_000, "trace", "--seconds", 5, "--json")
    assert (ran.status, "stands still" in ran.err) == (3, True)


def test_files_of_a_trace(run, tmp_path):
    lines, events = tmp_path / "t.jsonl", tmp_path / "t.json"
    at = ("sim", "--scenario", "wakeup-storm", "trace")
    ran = run(*at, "--count", 300, "--output", lines, "--perfetto", events, "--json")
    assert ran.status == 0
    hits, unit = loads(lines.read_text(), "t")
    assert (len(hits), unit) == (300, "steps")
    assert len(ran.json["hits"]) == 300
    check(json.loads(events.read_text()), hits)
    page = tmp_path / "page.html"
    assert run("sim", "report", page, "--trace", lines).status == 0
    assert "Timeline</h2>" in page.read_text()


def check(document, hits):
    """The document is as the published description of the trace-event format has it: the JSON Object Format."""
    assert document["displayTimeUnit"] in ("ms", "ns")
    named = set()
    for event in document["traceEvents"]:
        assert {"name", "ph", "pid", "tid", "ts"} | PHASES[event["ph"]] <= event.keys()
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ts"] >= 0
        match event["ph"]:
            case "M":
                assert event["name"] in ("process_name", "thread_name")
                assert isinstance(event["args"]["name"], str)
                named.add((event["name"], event["pid"], event["tid"]))
            case "i":
                assert event["s"] in "gpt"
            case "X":
                assert event["dur"] > 0
    for event in document["traceEvents"]:
        assert ("thread_name", event["pid"], event["tid"]) in named or event["name"] == "process_name"
        assert ("process_name", event["pid"], 0) in named or event["ph"] == "M"
    instants = [event for event in document["traceEvents"] if event["ph"] == "i" and event["pid"] == perfetto.VCPUS]
    assert [event["ts"] for event in instants] == [hit.time for hit in hits]
    tracks = {name for name, process, _ in named if process == perfetto.CPUS and name == "thread_name"}
    assert tracks
    # The slices of a track follow each other.
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    for track in {event["tid"] for event in slices}:
        own = [event for event in slices if event["tid"] == track]
        assert all(a["ts"] + a["dur"] <= b["ts"] for a, b in pairwise(own))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["d9v9"], "there is no vCPU d9v9"),
        (["d0v0"], "no posted-interrupt descriptor"),
        (["--hook", "nonsense"], "no function 'nonsense'"),
        (["--seconds", "0"], "no time"),
        (["--count", "1", "--output", "/no/such/file"], "cannot be written"),
    ],
)
def test_wrong_words_are_told(run, words, said):
    ran = run("sim", "trace", *words)
    assert ran.status == 2
    assert said in ran.err


def test_a_dump_is_not_traced(run, golden):
    ran = run("dump", golden("two-in-guest"), "trace")
    assert ran.status == 3
    assert "stands still for good" in ran.err


def test_one_in_which_nothing_changes_any_more_ends_before_its_time(run) -> None:
    done = run("sim", "trace", "--still", "0.000000001", "--seconds", "1000")
    assert "0 transitions; nothing has changed for 1e-09 seconds" in done.out


@pytest.mark.parametrize(("count", "said"), [(1, "1 transition; all that were asked for"), (3, "3 transitions; all")])
def test_one_that_is_complete_says_its_number_once(run, count, said):
    assert run("sim", "trace", "--count", str(count)).out.splitlines()[-1].startswith(said)
