"""What the explorer finds to be broken in the model, done again with Xen's own machine code.

The functions in `xen_lockstep.ARGUMENTS` run in Xen's code, under emulation. What is between them is the model's: the
scheduler's own stores, the way from one function to the next, and the device with its VT-d unit, whose post is
hardware's anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sim_backend.explore import explore
from sim_backend.explore.result import BROKEN, HOLDS
from sim_backend.logic.pi import ON_MASK, VPF_BLOCKED
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import History, perform
from sim_backend.machine.machine import Machine
from sim_backend.scenario.bugs import REPAIRS, with_bugs
from sim_backend.scenario.scenario import Scenario, load, parse
from structs.pi_desc import PI_DESC, vectors

from .bench import Bench
from .bounded import SCENARIO
from .lockstep import Lockstep
from .machine_code import Outcome
from .states import blocking
from .xen_lockstep import ARGUMENTS, followed

pytestmark = pytest.mark.live

REPAIRED = with_bugs(CURRENT, list(REPAIRS))
VECTOR = 0x30
POST = "is posted: one read-modify-write of the descriptor"
PREEMPTED = SCENARIO.format(cpus=1, vcpus=2, bounds="preemptions = 2")
BLOCKS = SCENARIO.format(cpus=1, vcpus=1, bounds="blocks = 1")
IRR, WORD = 0x200, 0x10
STEPS = 4000
ONLY_WITHIN = "vmx_pi_unblock_vcpu"
"""Runs as a part of vmx_vmenter_helper; by itself only the toolstack has it run."""


@pytest.fixture
def found(bench: Bench) -> Callable[..., History]:
    """Call it with a scenario and a property for the shortest history that breaks it."""

    def find(text: str, name: str) -> History:
        found = explore(_laid_out(parse(text, "scenario"), bench))
        assert found.result.exhausted
        (verdict,) = (verdict for verdict in found.result.verdicts if verdict.name == name)
        assert verdict.verdict == BROKEN
        return found.history(verdict)

    return find


def test_a_post_while_sn_is_set_strands(bench: Bench, found: Callable[..., History]) -> None:
    """It comes when vmx_ctxt_switch_to has stored NDST and is about to clear SN."""
    history = found(PREEMPTED, "no stranded interrupt")
    lockstep = _follow(bench, history)
    machine, code = lockstep.machine, lockstep.code
    (victim,) = (v for v in machine.names if _descriptor(lockstep, v)[0])
    assert _descriptor(lockstep, victim) == ([VECTOR], 0, 0)
    assert [cpu.current for cpu in machine.cpus if cpu.guest] == [victim]
    assert {"vmx_ctxt_switch_from", "vmx_ctxt_switch_to", "vmx_vmenter_helper", "vmx_sync_pir_to_irr"} <= {
        *lockstep.ran
    }
    assert [(each.function, each.told.action) for each in lockstep.between] == [("vmx_ctxt_switch_to", POST)]
    _sync_takes_nothing(lockstep, victim)
    assert code.call("vmx_test_pir", machine.layout.virtual(victim), VECTOR).result & 0xFF == 1
    assert _descriptor(lockstep, victim) == ([VECTOR], 0, 0)


def test_the_repair_of_linux_mends_it(bench: Bench) -> None:
    result = explore(_laid_out(parse(PREEMPTED, "scenario"), bench), REPAIRED).result
    assert result.exhausted
    assert [each.verdict for each in result.verdicts if each.name == "no stranded interrupt"] == [HOLDS]


def test_xen_does_not_have_the_repair(bench: Bench, found: Callable[..., History]) -> None:
    """The same moves in the repaired model: Xen's code goes along up to where that sets ON."""
    history = found(PREEMPTED, "no stranded interrupt")
    with pytest.raises(AssertionError, match=r"vmx_pi_switch_to: (looks whether anything was posted|sets ON)"):
        _follow(bench, replace(history, version=REPAIRED))


def test_a_wakeup_that_finds_on_cleared(bench: Bench, found: Callable[..., History]) -> None:
    """On its way to VM entry, a vCPU that is about to be switched out takes the post whose wakeup comes after."""
    history = found(BLOCKS, "no lost wakeup")
    lockstep = _follow(bench, history)
    machine = lockstep.machine
    (victim,) = machine.names
    _is_asleep(lockstep, victim)
    assert set(lockstep.ran) == {"vmx_vcpu_block", "vmx_sync_pir_to_irr", "pi_wakeup_interrupt"}
    assert lockstep.ran[-1] == "pi_wakeup_interrupt"
    assert not lockstep.between
    assert "vcpu_wake" not in _calls(lockstep.code.call("pi_wakeup_interrupt", cpu=0, interrupts_on=False))
    _is_asleep(lockstep, victim)
    # Had ON still been set, it would have been woken.
    lockstep.code.write(victim + machine.o.control, bytes([ON_MASK]))
    assert "vcpu_wake" in _calls(lockstep.code.call("pi_wakeup_interrupt", cpu=0, interrupts_on=False))


@pytest.mark.parametrize("name", ["hotplug", "migration", "wakeup-storm"])
def test_chance(bench: Bench, name: str) -> None:
    """Several CPUs, everybody's steps mixed by chance: Xen's code goes along, with others acting in between."""
    machine = Machine(_laid_out(load(name), bench), seed=1)
    lockstep = followed(machine, bench.symbols)
    for _ in range(STEPS):
        assert lockstep.turn(machine.step)
    assert not lockstep.differences()
    assert set(lockstep.ran) == ARGUMENTS.keys() - {ONLY_WITHIN}
    assert {"vmx_ctxt_switch_to", "vmx_sync_pir_to_irr", "vmx_vcpu_block"} <= {e.function for e in lockstep.between}


def _laid_out(scenario: Scenario, bench: Bench) -> Scenario:
    """The scenario on a machine of that build."""
    return replace(scenario, layout=replace(scenario.layout, profile=bench.profile))


def _follow(bench: Bench, history: History) -> Lockstep:
    machine = history.machine()
    lockstep = followed(machine, bench.symbols)
    for number, move in enumerate(history.moves, 1):
        lockstep.turn(lambda number=number, move=move: perform(machine, number, move))
    assert not lockstep.differences()
    return lockstep


def _descriptor(lockstep: Lockstep, vcpu: int) -> tuple[list[int], int, int]:
    """What is posted, ON and SN, in the memory that Xen's code made."""
    place = vcpu + lockstep.machine.layout.member("vcpu", "arch.hvm.vmx.pi_desc")
    fields = PI_DESC.parse(lockstep.code.read(place, PI_DESC.size))
    return vectors(fields["pir"]), fields["on"], fields["sn"]


def _sync_takes_nothing(lockstep: Lockstep, vcpu: int) -> None:
    """It looks at ON, and that is all."""
    machine = lockstep.machine
    outcome = lockstep.code.call("vmx_sync_pir_to_irr", machine.layout.virtual(vcpu))
    assert set(outcome.events) == {("touch", vcpu + machine.o.control)}


def _is_asleep(lockstep: Lockstep, vcpu: int) -> None:
    """In the memory that Xen's code made: blocked, on a list, its vector in IRR, nothing in its descriptor."""
    code, layout = lockstep.code, lockstep.machine.layout
    o = lockstep.machine.o
    assert _descriptor(lockstep, vcpu) == ([], 0, 0)
    assert code.read(layout.vlapic(1, 0) + IRR + WORD * (VECTOR // 32), 4) == (1 << VECTOR % 32).to_bytes(4, "little")
    assert code.read(vcpu + o.pause_flags, 4) == (1 << VPF_BLOCKED).to_bytes(4, "little")
    assert code.read(blocking(layout, 0), 8) == layout.virtual(vcpu + o.node).to_bytes(8, "little")


def _calls(outcome: Outcome) -> set[str]:
    return {event[0] for event in outcome.events}
