"""S1 to S15 by hand: each from the members that Xen has in it, with the evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.analysis.situation import SITUATIONS, holder_of, label, situation
from inspector.model.snapshot import BLOCK, SWITCH_TO, Cpu, Descriptor, Snapshot, Vcpu

P, W = 0xF1, 0xF2
PI = Descriptor(0x1000, (), on=0, sn=0, nv=P, ndst=0)
RUNNING = Vcpu(1, 0, hvm=True, cpu=0, runstate="running", is_running=True, in_guest=True, hooks=(BLOCK,), pi=PI)
WAITING = replace(RUNNING, runstate="runnable", is_running=False, in_guest=False)
BLOCKED = replace(WAITING, runstate="blocked", pause_flags=1, blocking_list=0, pi=replace(PI, nv=W))
CPUS = (Cpu(0, apic_id=0, online=True), Cpu(1, apic_id=1, online=True, loaded="d1v0"))


def of(vcpu, cpus=CPUS[:1]):
    machine = Snapshot("a machine", vcpus=(vcpu,), cpus=cpus, posted_intr_vector=P, pi_wakeup_vector=W)
    return situation(machine, vcpu)


@pytest.mark.parametrize(
    ("vcpu", "id"),
    [
        (RUNNING, "S1"),
        (replace(RUNNING, in_guest=False), "S2"),
        (replace(RUNNING, in_guest=None), "S2"),
        (replace(RUNNING, in_guest=False, pi=replace(PI, nv=W)), "S3"),
        (replace(RUNNING, in_guest=False, pi=replace(PI, nv=0x20)), "between"),
        (replace(WAITING, pi=replace(PI, sn=1)), "S4"),
        (WAITING, "S4"),
        (replace(WAITING, pause_count=1), "S6"),
        (replace(WAITING, runstate="offline"), "S6"),
        (replace(BLOCKED, is_running=True), "S7"),
        (BLOCKED, "S8"),
        (replace(BLOCKED, blocking_list=None), "S8"),
        (replace(BLOCKED, pause_count=2), "S10"),
        (replace(WAITING, pi=replace(PI, nv=W)), "S11"),
        (replace(WAITING, pi=replace(PI, nv=W), blocking_list=0), "S11"),
        (replace(WAITING, hooks=()), "S13"),
        (replace(WAITING, hooks=(SWITCH_TO,)), "S14"),
        (replace(WAITING, pause_flags=2), "S15"),
        (replace(RUNNING, is_running=False), "between"),
    ],
)
def test_each(vcpu, id):
    found = of(vcpu)
    assert found.id == id
    assert found.title == SITUATIONS[id]
    assert found.evidence


def test_a_cpu_that_still_holds_the_state_is_told():
    assert of(BLOCKED, CPUS).id == "S9"
    assert "CPU 1 still holds its state (curr_vcpu)" in of(BLOCKED, CPUS).evidence
    assert of(WAITING, CPUS).id == "S5"
    assert of(replace(WAITING, pi=replace(PI, sn=1)), CPUS).id == "between"


def test_the_list_of_an_offline_cpu_comes_before_all_else():
    offline = (Cpu(0, apic_id=0, online=False),)
    assert of(replace(BLOCKED, pause_count=1), offline).id == "S12"
    assert "CPU 0 is offline" in of(BLOCKED, offline).evidence


def test_who_has_no_descriptor_stands_nowhere():
    assert of(replace(RUNNING, pi=None)) is None


def test_who_holds_it_is_who_names_it():
    machine = Snapshot("a machine", vcpus=(BLOCKED,), cpus=CPUS)
    assert holder_of(machine, BLOCKED) == 1
    assert holder_of(machine, replace(BLOCKED, vcpu=1)) is None


def test_a_label_is_the_id_and_what_it_is_called():
    assert label("S8") == "S8 blocked"
    assert label("between") == "between two situations"
