"""Histories of the model, done again with KVM's own machine code.

The functions in `lockstep.ARGUMENTS` run in the code, under emulation. What is between them is the model's: the
scheduler, the way into the guest and out of it, and the device with its VT-d unit. No thread is preempted within a
function: a stack of the code is a CPU's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from sim_backend.explore import explore
from sim_backend.explore.result import BROKEN, HOLDS
from sim_backend.logic.kvm.versions import KVM
from sim_backend.machine.history import History, perform
from sim_backend.machine.kvm import KvmMachine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import Scenario, load, parse
from tests.fixtures.kvm import KvmBuild

from ..bounded import SCENARIO
from ..lockstep import Lockstep
from .lockstep import ARGUMENTS, followed

pytestmark = pytest.mark.live

STEPS = 4000
BY_OTHERS = {"kvm_vcpu_kick", "kvm_vcpu_wake_up"}
"""Run as parts of others, and by the thread of the VMM, which is on no CPU."""


@dataclass(frozen=True)
class Bug:
    """A version that does not do what KVM does, a machine on which that breaks something, and how KVM's code departs
    from the history that breaks it."""

    field: str
    broken: str
    departs: str
    cpus: int = 1
    vcpus: int = 1
    bounds: str = "blocks = 2"


BUGS = [
    Bug("load_sees_pir", "no stranded interrupt", "ON SN .*: 00 -> 01", vcpus=2, bounds="preemptions = 2"),
    Bug("load_unlists", "on one list, with the wakeup vector", "wakeup list lock .*: 00 -> 01 in the code"),
    Bug("load_restores_nv", "restored before VM entry", "NV .*: f1 -> f2 in the code"),
    Bug("load_directs", "no stranded interrupt", "ON SN .*: 000000f20002 -> 010000f20000 in", 2, 1, "migrations = 1"),
    Bug("put_notes_on", "no lost wakeup", r"send_ipi\(0x0, 0xf1\)", bounds="blocks = 1"),
]


@pytest.mark.parametrize("name", ["migration", "one-device", "wakeup-storm"])
def test_chance(kvm_build: KvmBuild, kvm_profile: str, name: str) -> None:
    """Several CPUs, everybody's steps mixed by chance: KVM's code goes along, with others acting in between."""
    machine = KvmMachine(_laid_out(load(name), kvm_profile), KVM, seed=1)
    lockstep = followed(machine, kvm_build)
    for _ in range(STEPS):
        assert lockstep.turn(machine.step)
    assert not lockstep.differences()
    assert set(lockstep.ran) >= ARGUMENTS.keys() - BY_OTHERS
    interrupted = {each.function for each in lockstep.between}
    assert {"vmx_vcpu_pi_load", "vmx_vcpu_pi_put", "vmx_sync_pir_to_irr"} <= interrupted


@pytest.fixture
def found(kvm_profile: str) -> Callable[[Bug], History]:
    """Call it with a bug for the shortest history that breaks the property; KVM itself breaks none."""

    def find(bug: Bug) -> History:
        text = SCENARIO.format(cpus=bug.cpus, vcpus=bug.vcpus, bounds=bug.bounds)
        scenario = _laid_out(parse(text, "scenario"), kvm_profile)
        with_bug = explore(scenario, replace(KVM, name=bug.field, **{bug.field: False}))
        without = explore(scenario, KVM)
        assert with_bug.result.exhausted
        assert without.result.exhausted
        assert [each.verdict for each in without.result.verdicts if each.name == bug.broken] == [HOLDS]
        assert not [each.name for each in without.result.verdicts if each.verdict == BROKEN]
        (verdict,) = (each for each in with_bug.result.verdicts if each.name == bug.broken)
        assert verdict.verdict == BROKEN
        return with_bug.history(verdict)

    return find


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.field)
def test_kvm_does_not_have_it(kvm_build: KvmBuild, found: Callable[[Bug], History], bug: Bug) -> None:
    """KVM's code goes along with the bug up to where that is; with the model of KVM, it does all of the same moves."""
    history = found(bug)
    with pytest.raises(AssertionError, match=bug.departs):
        _follow(kvm_build, history)
    lockstep = _follow(kvm_build, replace(history, version=KVM))
    assert lockstep.ran
    assert not lockstep.differences()


def _follow(build: KvmBuild, history: History) -> Lockstep:
    """As far as the moves can be done; without the bug, somebody may have nothing to do at one."""
    machine = history.machine()
    assert isinstance(machine, KvmMachine)
    lockstep = followed(machine, build)
    for number, move in enumerate(history.moves, 1):
        try:
            lockstep.turn(lambda number=number, move=move: perform(machine, number, move))
        except SimError:
            assert history.version == KVM
            break
    return lockstep


def _laid_out(scenario: Scenario, profile: str) -> Scenario:
    """The scenario on a machine of that build."""
    return replace(scenario, layout=replace(scenario.layout, profile=profile))
