"""Layouts checked against real memory: none wrong is taken, and one of another build is refused."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.capture.inspection import Inspection
from inspector.profiles import layouts
from inspector.profiles import store as profiles
from inspector.profiles.layouts import Build, Candidate, around
from inspector.targets.open_file import open_file
from inspector.targets.sim.simulation import Simulation
from inspector.xen import selfcheck
from inspector.xen.layout_facts import Facts
from inspector.xen.locate import locate
from inspector.xen.selfcheck import CONSISTENT, PROVED, UNKNOWN, Fit, Verdict
from inspector.xen.unknown import DoesNotFit, recognise, refuse_misfit
from inspector.xen.xen import Xen
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load
from structs.xen.layout import Place, StructLayout, isf_types, of_profile
from structs.xen.profile import Profile

BUILD = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"
NAMES = [
    "blocking-in-progress",
    "cpu-offline-after-fixup",
    "cpu-offline-before-fixup",
    "hooks-not-installed",
    "linux-guest-hung",
    "lost-wakeup",
    "lost-wakeup-1s-later",
    "post-in-progress-or-stranded",
    "two-in-guest",
    "woken-still-listed",
    "xapic-4-cpus",
]
LEAST = 70


def without(*build_ids: str) -> dict[str, list[Candidate]]:
    """The bundled layouts, less those that only these builds have."""
    kept = {
        struct: [one for one in known if {build.build_id for build in one.builds} - set(build_ids)]
        for struct, known in layouts.bundled().items()
    }
    return {
        struct: [replace(one, builds=tuple(b for b in one.builds if b.build_id not in build_ids)) for one in known]
        for struct, known in kept.items()
    }


@pytest.fixture(scope="module")
def oracle():
    """The layouts of the captures' build, from its DWARF."""
    return of_profile(profiles.by_build_id(BUILD))


@pytest.fixture(scope="module", params=NAMES)
def facts(request, golden):
    with open_file(golden(request.param)) as target:
        xen = recognise(locate(target))
        yield Facts(xen.profile, xen.memory)


def test_with_all_of_its_build_hidden_none_is_wrong_and_few_are_unknown(facts, oracle):
    verdicts = selfcheck.check(facts, without(BUILD), "4.20.3")
    wrong = [
        (struct, path, place, oracle[struct].members[path])
        for struct, verdict in verdicts.items()
        if verdict.layout and struct in oracle
        for path, place in verdict.layout.members.items()
        if oracle[struct].members.get(path) != place
    ]
    assert not wrong
    score = selfcheck.score(verdicts.values())
    assert score[PROVED] + score[CONSISTENT] >= LEAST
    assert score[PROVED] > 30


@pytest.mark.thorough
def test_without_any_release_near_it_less_is_known_and_none_is_wrong(facts, oracle):
    far = {
        struct: [one for one in known if all(build.version.startswith("4.17") for build in one.builds)]
        for struct, known in without(BUILD).items()
    }
    verdicts = selfcheck.check(facts, {struct: known for struct, known in far.items() if known}, "4.20.3")
    for struct, verdict in verdicts.items():
        for path, place in (verdict.layout.members if verdict.layout else {}).items():
            assert oracle[struct].members.get(path) == place


def shuffled(layout: StructLayout, rng: random.Random) -> StructLayout:
    """The same places under other members' names."""
    places = list(layout.members.values())
    rng.shuffle(places)
    return replace(layout, members=dict(zip(layout.members, places, strict=True)))


TOLD = ("domain", "vcpu", "irq_desc", "sched_resource")
"""Structures of which each capture holds some."""


def test_a_number_of_an_idle_vcpu_proves_no_processor(golden, oracle):
    """Where no other vCPUs are known, either may be in the other's place."""
    vcpu = oracle["vcpu"]
    places = vcpu.members
    swapped = replace(vcpu, members={**places, "vcpu_id": places["processor"], "processor": places["vcpu_id"]})
    nowhere = replace(vcpu, members={**places, "domain": places["sched_unit"]})
    with open_file(golden("hooks-not-installed")) as target:
        xen = recognise(locate(target))
        facts = Facts(xen.profile, xen.memory)
        alone = {"vcpu": [Candidate(vcpu, ())]}
        assert PROVED not in selfcheck.check(facts, alone, "4.20.3")["vcpu"].states.values()
        known = {name: [Candidate(layout, ())] for name, layout in (oracle | {"vcpu": swapped}).items()}
        assert selfcheck.check(facts, known, "4.20.3")["vcpu"].layout is None
        known["vcpu"] = [Candidate(nowhere, ())]
        assert "vcpu.domain" in selfcheck.check(facts, known, "4.20.3")["vcpu"].refuted


def shuffled_verdict(facts: Facts, oracle, rng: random.Random, struct: str) -> tuple[Verdict, set[str]]:
    """What is made of a shuffled structure among right ones, and its members that are elsewhere."""
    wrong = shuffled(oracle[struct], rng)
    known = {name: [Candidate(layout, ())] for name, layout in (oracle | {struct: wrong}).items()}
    right = oracle[struct].members
    moved = {path for path, place in wrong.members.items() if place != right[path]}
    return selfcheck.check(facts, known, "4.20.3")[struct], moved


@settings(max_examples=6)
@given(st.randoms(use_true_random=False), st.sampled_from(TOLD))
def test_of_shuffled_members_none_is_used(facts, oracle, rng, struct):
    """Whatever is moved, and where: hypothesis looks for what memory does not contradict."""
    verdict, moved = shuffled_verdict(facts, oracle, rng, struct)
    assert not moved & {path for path, state in verdict.states.items() if state != UNKNOWN}


SHUFFLES = 6
"""Always the same ones: of some 2,500 that were tried, memory contradicts all but one."""


@pytest.mark.parametrize("struct", selfcheck.TELLING)
def test_shuffled_members_are_refused(facts, oracle, struct):
    for seed in range(SHUFFLES):
        verdict, moved = shuffled_verdict(facts, oracle, random.Random(seed), struct)
        assert len(moved) > len(oracle[struct].members) // 2
        assert verdict.refuted


def test_of_a_profile_file_what_memory_contradicts_is_not_believed(golden, tmp_path):
    """One member in another's place: too little to refuse it all."""
    profile = profiles.by_build_id(BUILD)
    layouts_of = of_profile(profile)
    vcpu = layouts_of["vcpu"]
    swapped = {"vcpu_id": vcpu.members["processor"], "processor": vcpu.members["vcpu_id"]}
    base, user = isf_types((layouts_of | {"vcpu": replace(vcpu, members={**vcpu.members, **swapped})}).values())
    path = tmp_path / "swapped.json"
    symbols = {name: {"address": symbol["address"]} for name, symbol in profile.document["symbols"].items()}
    parts = {"base_types": base, "user_types": user, "enums": {}, "symbols": symbols}
    path.write_text(json.dumps({**profile.document, **parts}))
    with open_file(golden("lost-wakeup")) as target:
        inspection = Inspection(target, profile=str(path))
        right = {(vcpu.domain, vcpu.vcpu, vcpu.cpu) for vcpu in Inspection(target).snapshot.vcpus}
        found = {(vcpu.domain, vcpu.vcpu, vcpu.cpu) for vcpu in inspection.snapshot.vcpus}
    assert found <= right
    assert any("contradict" in note for note in inspection.notes), (inspection.notes, inspection.absent)


def test_between_two_proved_members_is_known_only_where_releases_around_are():
    """As `pause_count` of a 4.11 beside a 4.12 alone, which has it 8 bytes on between members that did not move."""

    def candidate(pause_count: int, version: str) -> Candidate:
        members = {"is_dying": Place(296, 4), "pause_count": Place(pause_count, 4), "vcpu_block": Place(1584, 8)}
        return Candidate(StructLayout("domain", 3072, members), (Build(version, "00", ""),))

    newer = candidate(468, "4.12.4")
    fits = [Fit(newer, frozenset({"is_dying", "vcpu_block"}))]
    assert selfcheck._state("pause_count", fits, around([newer], "4.11.4"), [newer]) == UNKNOWN
    assert selfcheck._state("pause_count", fits, around([newer], "4.12.0"), [newer]) == CONSISTENT


@pytest.mark.parametrize(("proved", "state"), [({"runstate_seq"}, PROVED), (set(), UNKNOWN)])
def test_what_came_in_the_middle_of_a_branch_is_known_only_if_it_is_proved(proved, state):
    """As `runstate_seq`, which 4.19.6 has and 4.19.5 has not: there its place was padding."""
    members = {"domain": Place(24, 8), "runstate_seq": Place(288, 4), "sched_unit": Place(304, 8)}
    newer = Candidate(StructLayout("vcpu", 3072, members), (Build("4.19.6", "00", ""),))
    fits = [Fit(newer, frozenset({"domain", "sched_unit", *proved}))]
    assert selfcheck._state("runstate_seq", fits, around([newer], "4.19.5"), [newer]) == state


def test_a_layout_that_lacks_a_member_has_it_nowhere_else():
    """As 4.11's domain, whose hooks have other names than 4.12's, and 4.12's, whose pause count is elsewhere."""
    older = StructLayout("domain", 3072, {"domain_id": Place(0, 2), "pause_count": Place(460, 4)})
    newer = StructLayout(
        "domain", 3072, {"domain_id": Place(0, 2), "pause_count": Place(468, 4), "hook": Place(1584, 8)}
    )
    right = Fit(Candidate(older, ()), frozenset({"domain_id", "pause_count"}))
    wrong = Fit(Candidate(newer, ()), frozenset({"domain_id", "hook"}))
    assert selfcheck._agreeing([wrong, right]) == [right]


def of_another_build(profile: Profile, types: Profile) -> Profile:
    """A profile with the symbols of one build and the layouts of another, as `profile make --types` once made."""
    document = {**types.document, "symbols": profile.document["symbols"], "metadata": profile.document["metadata"]}
    return Profile(document)


def test_a_profile_with_the_layouts_of_another_build_is_refused(golden):
    right = profiles.by_build_id(BUILD)
    (other,) = (known for known in profiles.known() if known.version.startswith("4.17"))
    with open_file(golden("lost-wakeup")) as target:
        memory = recognise(locate(target)).memory
        refuse_misfit(Xen(right, memory))
        with pytest.raises(DoesNotFit, match="do not fit the Xen in memory, which contradicts domain"):
            refuse_misfit(Xen(of_another_build(right, other), memory))


def test_symbols_of_the_very_build_are_not_refused_for_what_a_machine_has_not_set_up():
    machine = Machine(load("one-device"))
    machine.run(800)
    inspection = Inspection(Simulation(machine))
    assert inspection.xen
    refuse_misfit(inspection.xen)


def test_memory_that_is_gone_proves_and_refutes_nothing(golden, oracle):
    with open_file(golden("lost-wakeup")) as target:
        xen = recognise(locate(target))
        bare = Profile({**xen.profile.document, "symbols": {}})
        known = {name: [Candidate(layout, ())] for name, layout in oracle.items()}
        verdicts = selfcheck.check(Facts(bare, xen.memory), known, "4.20.3")
    assert not any(verdict.refuted or verdict.layout for verdict in verdicts.values())
