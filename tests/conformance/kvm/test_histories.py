"""Histories of the model, done again with KVM's own machine code.

The functions in `lockstep.ARGUMENTS` run in the code, under emulation. What is between them is the model's: the
scheduler, the way into the guest and out of it, and the device with its VT-d unit. No thread is preempted within a
function: a stack of the code is a CPU's.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim_backend.logic.kvm.versions import KVM
from sim_backend.machine.kvm import KvmMachine
from sim_backend.scenario.scenario import Scenario, load
from tests.fixtures.kvm import KvmBuild

from .lockstep import ARGUMENTS, followed

pytestmark = pytest.mark.live

STEPS = 4000
BY_OTHERS = {"kvm_vcpu_kick", "kvm_vcpu_wake_up"}
"""Run as parts of others, and by the thread of the VMM, which is on no CPU."""


@pytest.mark.parametrize("name", ["migration", "one-device", "wakeup-storm"])
def test_chance(kvm_build: KvmBuild, kvm_profile: str, name: str) -> None:
    """Several CPUs, everybody's steps mixed by chance: KVM's code goes along, with others acting in between."""
    machine = KvmMachine(_laid_out(load(name), kvm_profile), KVM, seed=1)
    lockstep = followed(machine, kvm_build)
    for _ in range(STEPS):
        assert lockstep.turn(machine.step)
    assert not lockstep.differences()
    assert set(lockstep.ran) >= ARGUMENTS.keys() - BY_OTHERS
    assert {"vmx_vcpu_pi_load", "vmx_vcpu_pi_put", "vmx_sync_pir_to_irr"} <= {
        each.function for each in lockstep.between
    }


def _laid_out(scenario: Scenario, profile: str) -> Scenario:
    """The scenario on a machine of that build."""
    return replace(scenario, layout=replace(scenario.layout, profile=profile))
