"""The audit and the explorer check each other: every bug that exploring finds leaves what the audit finds, and in no
state that is reached without a bug does the audit find one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import pytest

from inspector.analysis.situation import situation
from inspector.audit import BUG, audit
from inspector.capture.inspection import Inspection
from inspector.explore.steps import read
from inspector.targets.sim.simulation import Simulation
from sim_backend.explore import Limits, explore
from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.every_state import alike, every_state
from sim_backend.explore.materialise import materialised, values
from sim_backend.explore.model import EVENTUALLY
from sim_backend.explore.paths import moves_to
from sim_backend.explore.properties import PROPERTIES, pending
from sim_backend.explore.search import Search
from sim_backend.explore.situations import situation as of_explorer
from sim_backend.logic.context import Uncounted
from sim_backend.logic.versions import CURRENT, VERSIONS
from sim_backend.machine.history import started
from sim_backend.scenario.bugs import BUGS, VARIANTS, with_bugs
from sim_backend.scenario.scenario import load
from tests.parts import quick

SECONDS = 60
WAKE, SN = "repair-wake-all", "repair-linux-sn"
LOST, STRANDED = "no lost wakeup", "no stranded interrupt"
RESTORED, LISTED = "restored before VM entry", "on one list, under its lock"
SUPPRESSED, OWNER = "not suppressed in the guest", "posted to the device's owner"
SAYS = "posted to whom the guest says"
MESSAGE, STUCK = "no message is lost", "nobody waits for ever"
LOCKS, CRASH = "locks are held once", "Xen does not crash"
DISABLED = "a disabled interrupt is not handled"
RECORDED, SOFTIRQ, DELIVERED = "entries are as recorded", "no softirq is left", "delivered at least once"


SMALL = {
    "ZOO-05",
    "ZOO-08",
    "ZOO-09",
    "ZOO-11",
    "ZOO-18",
    "ZOO-29",
    "ZOO-30",
    "unchanged-data",
    "unrouted-stays-posted",
}
"""Bugs whose scenarios have few states."""


@dataclass(frozen=True)
class Shown:
    """What exploring a bug's scenario finds, and what the audit then does.

    Attributes:
        broken: the property that a shortest history breaks.
        rules: of the audit, that find something on the way there.
        bugs: those that call it a bug, there or when the machine has come to rest.
        without: what is broken without the bug.
    """

    broken: str
    rules: set[str]
    bugs: set[str]
    without: frozenset[str] = frozenset()


SHOWN = {
    "ZOO-01": Shown(SUPPRESSED, {"D6"}, {"D6"}),
    "ZOO-02": Shown(STRANDED, {"D7", "D8"}, {"D7", "D8"}),
    "ZOO-03": Shown(STRANDED, {"D8"}, {"D8"}),
    "ZOO-04": Shown(RESTORED, {"D11"}, {"D11"}),
    # The prelude alone breaks it.
    "ZOO-05": Shown(LISTED, set(), {"D10", "D16"}),
    "ZOO-06": Shown(OWNER, {"D17", "D18"}, {"D17", "D18"}),
    "ZOO-07": Shown(OWNER, {"D17", "D18"}, {"D17"}),
    "ZOO-08": Shown(SAYS, {"D18"}, {"D18"}),
    "ZOO-09": Shown(OWNER, {"D17"}, {"D17"}),
    "ZOO-11": Shown(MESSAGE, {"D14"}, {"D14"}),
    "ZOO-12": Shown(STRANDED, {"D8"}, {"D8"}),
    "ZOO-14": Shown(MESSAGE, {"D18", "D32"}, {"D18"}),
    "ZOO-18": Shown(DELIVERED, {"D19", "D25"}, {"D19"}),
    "ZOO-24": Shown(OWNER, {"D25"}, set()),
    "ZOO-27": Shown(SOFTIRQ, {"D40"}, {"D40"}),
    "ZOO-28": Shown(SOFTIRQ, {"D40"}, {"D40"}),
    "ZOO-29": Shown(DISABLED, {"D33"}, set()),
    "ZOO-30": Shown(MESSAGE, {"D34"}, {"D34"}),
    "no-recheck": Shown(LOST, {"D5"}, set()),
    "stale-ndst": Shown(STRANDED, {"D7", "D8"}, {"D7", "D8"}),
    "sn-while-blocked": Shown(LOST, {"D13"}, {"D13"}),
    "wakeup-keeps-lock": Shown(LISTED, {"D9"}, {"D9"}),
    "wakes-one": Shown(LOST, {"D4"}, {"D4"}, frozenset([STRANDED])),
    "nv-not-restored": Shown(RESTORED, {"D31"}, {"D31"}),
    "node-not-removed": Shown(RESTORED, {"D31"}, {"D31"}),
    "ndst-follows": Shown(LOST, {"D3", "D4"}, {"D3", "D4"}),
    "current-not-woken": Shown(LOST, {"D4"}, {"D4"}),
    # ON is set, and what it is set for is gone; once the vCPU was woken for that, nothing tells of it.
    "load-drops-posted": Shown(DELIVERED, {"D4"}, set()),
    "block-past-pir": Shown(LOST, {"D5", "D30"}, {"D30"}),
    "unrouted-stays-posted": Shown(SAYS, {"D18"}, {"D18"}),
    "unchanged-data": Shown(SAYS, {"D18"}, {"D18"}),
    "binding-unlocked": Shown(OWNER, {"D17"}, {"D17"}),
    "restores-old-entry": Shown(MESSAGE, {"D34"}, {"D34"}),
    "host-takes-entry": Shown(RECORDED, {"D18"}, {"D18"}),
    "mwait-armed-late": Shown(SOFTIRQ, {"D40"}, {"D40"}),
    "mwait-flag-stays": Shown(SOFTIRQ, {"D40"}, {"D40"}),
}

HARMLESS = {
    # With store buffers it is another matter: h-l.
    "sync-plain-read": (WAKE,),
    # What is posted to who does not run is found when it does.
    "switch-out-notifies": (WAKE, SN),
    # The look for events that follows finds ON.
    "nv-before-list": (WAKE,),
    # The way to VM entry that follows finds ON.
    "sn-before-ndst": (SN,),
}

HAZARDS = {
    ("h-a",): {LOST, STRANDED},
    ("h-a", WAKE): {LOST, STRANDED},
    ("h-a", WAKE, SN): set(),
    ("h-b",): {STRANDED},
    ("h-c",): {LOST},
    ("h-d",): {LOST, MESSAGE},
    ("h-g",): {LOST, LISTED, LOCKS},
    ("h-i",): {SAYS},
    ("h-k",): {SAYS},
    ("h-l",): {LOST},
    ("h-l", WAKE): set(),
    ("h-m",): {LOST},
    ("h-m", WAKE): set(),
    ("h-n",): {STRANDED, SUPPRESSED},
    ("h-n", SN): {SUPPRESSED},
    ("h-o",): {LOST},
    ("h-o", WAKE): set(),
}


BARRIER = "repair-barrier"
ORDERING = {
    # Up to 4.20 the look at ON is a locked operation.
    ("current", WAKE): set(),
    ("4.21", WAKE): {LOST},
    ("4.21", WAKE, BARRIER): set(),
    # What is left is H-O, which has nothing to do with the order of stores.
    ("4.21", BARRIER): {LOST},
}
"""Hazard H-L, with store buffers."""


def version(*names, base="current"):
    return with_bugs(VERSIONS[base], names) if names else VERSIONS[base]


@cache
def broken(scenario, *names, base="current", store_buffers=False, **limits):
    found = explore(load(scenario), version(*names, base=base), Limits(**limits), store_buffers=store_buffers)
    result = found.result
    assert result.seconds < SECONDS
    assert result.exhausted or limits
    return {verdict.name for verdict in result.broken}


def test_every_bug_is_found_and_no_variant_is_one():
    assert (SHOWN.keys(), HARMLESS.keys()) == (BUGS.keys(), VARIANTS.keys())
    assert not any(shown.broken in shown.without for shown in SHOWN.values())


@pytest.mark.parametrize("name", quick(SMALL, SHOWN))
def test_a_bug_is_found_and_leaves_a_trace(name):
    shown, scenario = SHOWN[name], load(BUGS[name].scenario)
    made = version(*BUGS[name].hidden_by, name, base=BUGS[name].base)
    found = explore(scenario, made, Limits(first=True))
    assert found.result.seconds < SECONDS
    verdicts = {verdict.name: verdict for verdict in found.result.broken}
    assert shown.broken in verdicts
    history = found.history(verdicts[shown.broken])
    breaks(history)
    reading = read(history, audit_steps=True)
    assert shown.rules <= {finding.rule for _, finding in reading.fired}
    certain = [*(finding for _, finding in reading.fired), *reading.findings, *reading.lasting]
    bugs = {finding.rule for finding in certain if finding.severity == BUG}
    assert shown.bugs <= bugs
    assert shown.bugs or bugs <= {"D30"}


def breaks(history):
    """The machine that does a history breaks its property, without the explorer."""
    (asked,) = (asked for asked in PROPERTIES if asked.name == history.property)
    machine = history.machine()
    machine.context.tally = counted = Counted()
    for move in history.moves:
        machine.perform(move)
    if history.property == DELIVERED:
        machine.settle()
        assert counted.taken_by_guests < sum(move.order == "post" for move in history.moves)
        assert not any(pending(machine, v) for v in machine.names)
        return
    if asked.kind == EVENTUALLY:
        machine.settle()
    assert not all(test(machine) for test in asked.tests(machine))


class Counted(Uncounted):
    """Counts the interrupts that guests take."""

    def __init__(self):
        self.taken_by_guests = 0

    def taken(self, v, vector):
        self.taken_by_guests += 1


@pytest.mark.parametrize("name", quick(SMALL, SHOWN))
def test_without_the_bug_nothing_is_found(name):
    shown = SHOWN[name]
    assert broken(BUGS[name].scenario, *BUGS[name].hidden_by, base=BUGS[name].base) == shown.without


@pytest.mark.thorough
@pytest.mark.parametrize("name", HARMLESS)
def test_variants_do_no_harm_by_themselves(name):
    both, scenario = HARMLESS[name], VARIANTS[name].scenario
    assert broken(scenario, *both, name) == broken(scenario, *both) == set()


@pytest.mark.parametrize(
    "hazard", quick({("h-b",), ("h-c",), ("h-g",), ("h-i",), ("h-k",), ("h-m",), ("h-m", WAKE)}, HAZARDS), ids="+".join
)
def test_hazards_in_the_model_and_what_mends_them(hazard):
    scenario, *repairs = hazard
    assert broken(scenario, *repairs) == HAZARDS[hazard]


@pytest.mark.thorough
@pytest.mark.parametrize("case", ORDERING, ids="+".join)
def test_in_the_model_only_the_plain_read_of_4_21_overtakes_the_store_of_nv(case):
    base, *repairs = case
    assert broken("h-l", *repairs, base=base, store_buffers=True) == ORDERING[case]


@pytest.mark.thorough
@pytest.mark.parametrize("scenario", ["mwait", "broadcast", "zoo-03"])
def test_no_softirq_is_left_by_4_21_whatever_waits_in_store_buffers(scenario):
    """`in_mwait` is a plain store: who raises a softirq before it is seen sends an interrupt, which is not needed."""
    assert broken(scenario, base="4.21") == broken(scenario, base="4.21", store_buffers=True) == set()


@pytest.mark.thorough
def test_the_largest_hazards():
    """All that they break: in tests/bench."""
    assert broken("h-e", first=True) == {SUPPRESSED}
    assert broken("h-f", first=True) == {MESSAGE}


# The reverse.


def searched(scenario, *names, **bounds):
    """A search through all states, without symmetry, and its machine."""
    chosen = load(scenario)
    bounded = BoundedMachine(started(chosen, version(*names)), replace(chosen.bounds, **bounds))
    search = Search(bounded.model(), symmetry=False)
    assert search.run().exhausted
    return search, bounded.machine


def looks(search, machine):
    inspection = None
    for state, there in every_state(search, machine):
        inspection = Inspection(Simulation(there), before=inspection)
        yield state, there, inspection.snapshot


@pytest.mark.parametrize(
    "case",
    quick(
        {("zoo-09",), ("moved",)},
        [(name,) for name in ("zoo-06", "zoo-07", "zoo-08", "zoo-09", "zoo-12", "upcall", "moved", "blocked-moves")]
        + [("h-o", WAKE)],
    ),
    ids="+".join,
)
def test_no_reachable_state_is_called_a_bug(case):
    """And explorer and inspector agree on where vCPUs stand."""
    none_is_called_a_bug(*searched(*case))


@pytest.mark.thorough
def test_nor_while_a_cpu_goes_offline_or_a_vcpu_is_paused():
    none_is_called_a_bug(*searched("h-d", posts=0))
    none_is_called_a_bug(*searched("h-m", posts=0, pauses=1, unpauses=1))


def none_is_called_a_bug(search, machine):
    found = {}
    for state, there, snapshot in looks(search, machine):
        assert snapshot.problems == ()
        for finding in audit(snapshot):
            if finding.severity == BUG:
                found.setdefault(finding.rule, (state, finding))
        for vcpu in snapshot.vcpus:
            where = situation(snapshot, vcpu)
            assert where is None or where.id == of_explorer(there, there.vcpu(vcpu.name)), (state, vcpu, where)
    assert not found


@pytest.mark.thorough
@pytest.mark.parametrize("scenario", ["zoo-04", "h-d", "h-g"])
def test_a_state_is_the_machine_that_a_history_leads_to(scenario):
    search, machine = searched(scenario)
    seen = alike(search, machine)
    for state in seen[:: max(1, len(seen) // 8)].tolist():
        made = materialised(machine, values(search.fields, search.states.rows[state]))
        there = started(load(scenario), CURRENT)
        for moves in moves_to(search, state):
            for move in moves:
                there.perform(move)
        assert Inspection(Simulation(made)).snapshot == Inspection(Simulation(there)).snapshot
        assert made.state.runq == there.state.runq
        assert [_doing(actor) for actor in made.actors] == [_doing(actor) for actor in there.actors]
        kinds = [(each.settle(), each.crashed) for each in (made.copy(), there.copy())]
        assert kinds[0][1] == kinds[1][1]


def _doing(actor):
    """What it is in; variables that nobody reads any more may differ."""
    return [frame[:2] for frame in actor.stack], actor.irqs, actor.in_irq, actor.current, getattr(actor, "queue", [])
