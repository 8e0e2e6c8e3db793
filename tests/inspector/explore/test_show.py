"""Reading a history: what each step changed is what memory says, and all forms of it tell the same."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from inspector.analysis.situation import situation
from inspector.capture.inspection import Inspection
from inspector.explore.document import document
from inspector.explore.page import history as page
from inspector.explore.show import show, tell
from inspector.explore.steps import actors, read
from inspector.explore.table import blocks, groups
from inspector.explore.trace_events import hits, to_perfetto
from inspector.targets.sim.simulation import Simulation, read_history
from sim_backend.machine.moves import Move
from sim_backend.memory.errors import SimError

from .histories import COMMITTED, MAKERS

HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x1b[31m"


@pytest.fixture(scope="module", params=MAKERS)
def history(request):
    return MAKERS[request.param]()


@pytest.fixture(scope="module")
def reading(history):
    return read(history)


@pytest.fixture(scope="module")
def stranded():
    return MAKERS["stranded"]()


@pytest.fixture(scope="module")
def strandeds(stranded):
    return read(stranded, audit_steps=True)


def told(reading, **options):
    out = io.StringIO()
    tell(reading, out, **options)
    return out.getvalue()


def test_the_committed_history_is_what_the_machine_does_today(stranded):
    """If not, and that is meant: python -m tests.inspector.explore.histories."""
    assert read_history(str(COMMITTED)) == stranded


def test_each_step_is_the_machines(history, reading):
    assert [step.number for step in reading.steps] == list(range(1, len(history.moves) + 1))
    for step, move in zip(reading.steps, history.moves, strict=True):
        assert step.actor == (move.turn or "environment")
        if move.order:
            assert (step.function, step.action) == (move.order, " ".join(map(str, move.arguments)))


def test_changes_add_up_to_what_memory_holds(history, reading):
    """At some steps: the state before, and all changes up to there, are what a command would read there."""
    places = {*range(0, len(history.moves), 19), len(history.moves)}
    states = {name: dict(state) for name, state in reading.start.items()}
    stands = dict(reading.situations)
    for number in range(len(history.moves) + 1):
        if number:
            step = reading.steps[number - 1]
            for name, changes in step.changes.items():
                if "there" in changes:
                    assert changes == {"there": (1, 0)}
                    del states[name], stands[name]
                    continue
                for field, (before, after) in changes.items():
                    assert before != after
                    assert states[name][field] == before
                    states[name][field] = after
            for name, where in step.situations.items():
                assert stands[name] != where
                stands[name] = where
        if number in places:
            snapshot = Inspection(Simulation(history.at(number))).snapshot
            vcpus = {vcpu.name: vcpu for vcpu in snapshot.vcpus if vcpu.pi}
            assert vcpus.keys() == states.keys()
            for name, vcpu in vcpus.items():
                state = states[name]
                assert all(state[field] == getattr(vcpu.pi, field) for field in ("pir", "on", "sn", "nv", "ndst"))
                assert state["list"] == vcpu.blocking_list
                assert state["blocked"] == int(vcpu.blocked)
                assert state["runstate"] == vcpu.runstate
                assert stands[name] == situation(snapshot, vcpu).id


def test_a_stranded_interrupt(strandeds):
    seen = [(step.number, name, changes) for step in strandeds.steps for name, changes in step.changes.items()]
    of_descriptor = [
        (name, field, changes[field]) for _, name, changes in seen for field in ("pir", "on", "sn") if field in changes
    ]
    assert of_descriptor == [
        ("d1v0", "sn", (0, 1)),
        ("d1v0", "pir", ((), (0x30,))),
        ("d1v1", "sn", (0, 1)),
        ("d1v0", "sn", (1, 0)),
    ]
    walk = [step.situations["d1v0"] for step in strandeds.steps if "d1v0" in step.situations]
    assert walk == ["S2", "between", "S4", "S2", "S1"]
    assert [(finding.rule, finding.subject, finding.severity) for finding in strandeds.findings] == [
        ("D5", "d1v0", "warning")
    ]
    assert strandeds.later == 0
    assert [(finding.rule, finding.subject, finding.severity) for finding in strandeds.lasting] == [
        ("D5", "d1v0", "bug")
    ]
    cleared = next(step.number for step in strandeds.steps if step.changes.get("d1v0", {}).get("sn") == (1, 0))
    assert (cleared, "D5") in [(number, finding.rule) for number, finding in strandeds.fired]


def test_a_machine_that_is_not_at_rest_says_how_far_it_is_from_it(stranded):
    reading = read(replace(stranded, moves=stranded.moves[:60]))
    assert reading.later > 10
    assert f"at rest, {reading.later} steps later" in told(reading)


def test_a_history_without_a_move(stranded):
    reading = read(replace(stranded, moves=()))
    assert reading.steps == ()
    assert reading.later == 0
    assert "before the first step" in told(reading)
    page(reading)
    to_perfetto(reading)


def test_a_crash_is_shown():
    history = MAKERS["woken"]()
    machine = history.machine()
    # Nothing crashes by itself: its memory is written over as the history begins.
    head = machine.context.blocking_list(0)
    for move in history.moves:
        machine.perform(move)
    machine.memory.set_u64(head + machine.o.list_next, 0xDEAD_0000_0000)
    machine.cpus[0].lapic.request(machine.memory.u8(machine.context.pi_wakeup_vector))

    def replay():
        copy = machine.copy()
        for _ in range(4):
            yield copy, copy.perform(Move("CPU 0"))

    about = {"scenario": history.scenario, "version": history.version, "property": None, "why": None}
    reading = read(SimpleNamespace(machine=machine.copy, replay=replay, **about))
    assert reading.crashed.startswith("CPU 0: pi_wakeup_interrupt: ")
    assert reading.later is None
    text = "\n".join(map(str, blocks(reading)))
    assert f"The machine cannot go on: {reading.crashed}" in text
    assert "cannot go on: " in reading.steps[-1].action
    assert groups(reading.steps)[-1] == [reading.steps[-1]]


class TestTable:
    def test_it_fits_100_columns_up_to_the_audit(self, reading):
        text = told(reading)
        assert "\x1b" not in text
        table = text[text.index(" STEP") : text.index("after the last step")]
        assert max(map(len, table.splitlines())) <= 100

    def test_what_is_seen_has_a_row_and_the_rest_shares_one(self, reading):
        rows = groups(reading.steps)
        assert sorted(step.number for row in rows for step in row) == [step.number for step in reading.steps]
        assert all(len(row) == 1 for row in rows if row[0].visible)
        assert all(len({step.actor for step in row}) == 1 for row in rows)
        assert len(rows) < len(reading.steps)

    def test_every_step_has_a_row_if_asked_for(self, history, reading):
        numbers = re.findall(r"^ +(\d+)  \s*\S", told(reading, every_step=True), re.MULTILINE)
        assert numbers == [str(number) for number in range(1, len(history.moves) + 1)]

    def test_words_begin_in_their_actors_column(self, reading):
        lines = told(reading, every_step=True).splitlines()
        head = next(line for line in lines if line.lstrip().startswith("STEP"))
        for actor in actors(reading):
            name = actor.removeprefix("device ").removeprefix("VT-d ").replace("store buffer of CPU", "buffer")
            numbers = [step.number for step in reading.steps if step.actor == actor]
            row = next(line for line in lines if line.split(maxsplit=1)[:1] == [str(numbers[0])])
            place = head.index(name)
            words = reading.steps[numbers[0] - 1].function.split()[0]
            assert row[place:].startswith(words) or row.index(words) <= place

    def test_a_post_that_sets_no_on_says_so(self, strandeds):
        assert "d1v0 pir +30, on stays 0" in told(strandeds)

    def test_store_buffers(self):
        text = told(read(MAKERS["buffered"]()))
        assert "nv 0xf2 -> 0xf3, in its store" in text
        assert "buffer 0" in text


class TestJson:
    def test_it_is_all_there(self, history, reading):
        out = json.loads(told(reading, json=True))
        assert out == json.loads(json.dumps(document(reading)))
        assert out["kind"] == "vtdpi reading"
        assert len(out["steps"]) == len(history.moves)
        assert out["start"].keys() == reading.start.keys()

    def test_every_key_is_documented(self, strandeds):
        from inspector.explore import document as module
        from inspector.explore import steps

        made = document(strandeds)
        words = set(re.findall(r"\w+", module.__doc__))
        assert made.keys() <= words
        assert {*made["steps"][0], *made["findings"][0], *made["fired"][0]} <= words
        source = Path(steps.__file__).read_text("utf-8")
        table = source[source.index('"""A vCPU\'s fields:') : source.index("Change = ")]
        assert list(made["start"]["d1v0"]["state"]) == re.findall(
            r"\w+", " ".join(line[:20] for line in table.splitlines() if re.match(r"    \w", line))
        )

    def test_numbers_are_integers(self, reading):
        def no_floats(text):
            raise AssertionError(text)

        json.loads(told(reading, json=True), parse_float=no_floats)


class TestPage:
    def test_it_holds_all_steps_and_loads_nothing(self, reading):
        source = page(reading)
        for step in reading.steps:
            assert step.function in source
        assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!data:)\w+:", source)
        assert "<script" not in source

    def test_what_a_file_says_is_only_text(self, stranded):
        bad = replace(stranded, property=HOSTILE, why=HOSTILE, scenario=replace(stranded.scenario, title=HOSTILE))
        source = page(read(bad))
        assert "<script" not in source
        assert "<img" not in source
        assert "\x1b" not in source


class TestPerfetto:
    def test_each_step_is_on_its_actors_track(self, reading):
        events = json.loads(to_perfetto(reading))["traceEvents"]
        threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
        assert set(actors(reading)) <= set(threads.values())
        for step in reading.steps:
            there = {threads[e["pid"], e["tid"]] for e in events if e["ph"] == "i" and e["ts"] == step.number}
            assert step.actor in there

    def test_situations_are_stretches(self, strandeds):
        events = json.loads(to_perfetto(strandeds))["traceEvents"]
        stretches = [e for e in events if e.get("cat") == "situation" and e["tid"] == 0]
        assert [e["name"].split()[0] for e in stretches] == ["S1", "S2", "between", "S4", "S2"]
        assert all(a["ts"] + a["dur"] == b["ts"] for a, b in pairwise(stretches))

    def test_hits_tell_every_change_of_a_descriptor(self, reading):
        fields = {"pir", "on", "sn", "nv", "ndst"}
        wanted = [(s.number, v, f) for s in reading.steps for v, c in s.changes.items() for f in c if f in fields]
        assert [(hit.time, hit.vcpu, field) for hit in hits(reading) for field in hit.changes] == wanted


class TestCommand:
    def test_read(self, run, stranded, tmp_path):
        ran = run("explore", "--read", str(COMMITTED), "--html", str(tmp_path / "h"), "--perfetto", str(tmp_path / "p"))
        assert ran.status == 1, "the audit finds a bug"
        out = io.StringIO()
        show(stranded, out)
        assert ran.out == out.getvalue()
        assert (tmp_path / "h").read_text().startswith("<!DOCTYPE html>")
        assert (tmp_path / "p").read_text().startswith('{"traceEvents"')
        assert run("explore", "--read", str(COMMITTED), "--json").json["property"] == "no stranded interrupt"
        assert "and at which step first" in run("explore", "--read", str(COMMITTED), "--audit-steps").out

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--read", "none"), "no history in none: No such file"),
            (("--read", __file__), "is no history: no JSON"),
            (("--read", str(COMMITTED), "--html", "/none/x"), "/none/x cannot be written: No such file"),
            (("--read", str(COMMITTED), "--perfetto", "/none/x"), "/none/x cannot be written: No such file"),
        ],
    )
    def test_it_is_one_line_if_it_cannot_be(self, run, words, message):
        ran = run("explore", *words)
        assert (ran.status, ran.out) == (2, "")
        assert message in ran.err
        assert ran.err.count("\n") == 1


def test_moves_that_cannot_be_done_are_told(stranded):
    with pytest.raises(SimError, match="step 2 of the history"):
        read(replace(stranded, moves=(stranded.moves[0], Move("device 00:03.0"))))
