"""Whichever hypervisor a version is of."""

from __future__ import annotations

import pytest

from sim_backend.logic.kvm.versions import KVM
from sim_backend.machine.boot import switched_on
from sim_backend.machine.kvm import KvmMachine
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.mark.parametrize(
    ("version", "kind"), [("current", Machine), ("4.21", Machine), ("kvm", KvmMachine), (KVM, KvmMachine)]
)
def test_a_version_tells_the_hypervisor(version, kind):
    assert type(switched_on(load("idle"), version)) is kind


def test_a_machine_with_xen_has_no_version_of_kvm():
    with pytest.raises(SimError, match="kvm is no version of Xen"):
        Machine(load("idle"), "kvm")
    with pytest.raises(SimError, match="no version 'hyper-v'"):
        switched_on(load("idle"), "hyper-v")
