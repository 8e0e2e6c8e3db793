"""The rules about vCPUs of KVM's: each fires on what is wrong, and is silent on what is right (see also the situations:
test_kvm_situation)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inspector.audit import BUG, RULES, WARNING, audit, confirm, coverage
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot
from sim_backend.layout.kvm.layout import DomainConfig, KvmLayout, LayoutConfig
from tests.inspector.linux.kvm_states import NOTIFY, VM, WAKEUP, OneVcpu, a_layout, seen
from tests.inspector.linux.laid import Laid

LOCK = "wakeup_vcpus_on_cpu_lock"


def found(snapshot: Snapshot) -> dict[str, tuple[str, str, str]]:
    return {each.rule: (each.severity, each.subject, each.message) for each in audit(snapshot)}


def as_release(snapshot: Snapshot, release: str) -> Snapshot:
    return replace(snapshot.complete(), kernel=replace(snapshot.kernel, release=release))


def spoilt(rule: str, spoil: Callable[[OneVcpu], object], words: str) -> None:
    """The rule fires on a vCPU in this state, with these words, as a bug or a suspicion."""
    layout = a_layout()
    spoil(OneVcpu(layout, 2))
    severity, subject, message = found(seen(layout))[rule]
    assert (subject, severity) == ("vm1234v2", WARNING if "suspicion" in message else BUG)
    assert words in message


def test_d41_expects_the_wakeup_vector_and_is_on_no_list():
    spoilt("D41", lambda one: one.blocked(1).layout.list_del(one.node), "it is on no CPU's wakeup list")


def test_d42_is_on_another_list_than_it_notifies():
    spoilt("D42", lambda one: one.blocked(1).pi(WAKEUP, cpu=0), "on CPU 1's wakeup list, but NDST names CPU 0")
    spoilt("D42", lambda one: one.blocked(1).put(cpu=0), "but was last loaded on CPU 0")


def test_d43_has_neither_vector():
    spoilt("D43", lambda one: one.in_user_space().pi(0x77), "NV is 0x77")
    spoilt("D43", lambda one: one.pi(0), "NV is 0x0")


def test_d44_notifies_another_cpu_than_its_own():
    spoilt("D44", lambda one: one.in_guest(1).pi(cpu=0), "CPU 1 has it in its guest, but NDST is 0x0")
    spoilt("D44", lambda one: one.in_guest(1).pi(WAKEUP, cpu=1), "NV is still the wakeup vector")


def test_d45_is_in_its_guest_with_sn():
    spoilt("D45", lambda one: one.in_guest(1).pi(sn=1, cpu=1, pir=(0x41,)), "notify it; PIR holds vector 0x41")


def test_d48_has_an_outstanding_wakeup():
    spoilt("D48", lambda one: one.blocked().pi(WAKEUP, on=1, pir=(0x51,)), "its thread sleeps (a suspicion")


def test_d49_has_a_vector_that_nothing_delivers():
    spoilt("D49", lambda one: one.blocked().pi(WAKEUP, pir=(0x51,)), "blocked with vector 0x51 posted in PIR, ON=0")


def test_d50_waits_for_the_wakeup_vector_with_sn():
    spoilt("D50", lambda one: one.blocked().pi(WAKEUP, sn=1), "posts are recorded and wake nobody")


def test_d46_a_node_that_is_no_vcpus():
    layout = a_layout()
    stranger = layout.new("list_head")
    layout.list_add_tail(layout.percpu(1, "wakeup_vcpus_on_cpu"), stranger)
    OneVcpu(layout).blocked(1)
    severity, subject, message = found(seen(layout))["D46"]
    assert (severity, subject) == (BUG, "CPU 1")
    assert f"node {layout.virtual(stranger):#x}" in message
    layout.memory.set_u8(layout.percpu(1, LOCK), 1)
    assert found(seen(layout))["D46"][0] == WARNING


def test_a_vm_that_ended_leaves_its_vcpu_on_a_list():
    layout = a_layout()
    OneVcpu(layout).blocked(1)
    layout.destroy_domain(VM)
    assert "D46" in found(seen(layout))


def test_d47_a_list_of_a_cpu_that_is_offline():
    layout = a_layout()
    OneVcpu(layout).blocked(1)
    layout.memory.set_u8(layout.symbol("__cpu_online_mask"), 0b01)
    assert "holds vm1234v0: no device wakes them" in found(seen(layout))["D47"][2]


def test_d52_two_cpus_with_one_vcpu():
    layout = a_layout()
    OneVcpu(layout).in_guest(0)
    assert "D52" not in found(seen(layout))
    layout.memory.set_u64(layout.percpu(1, "kvm_running_vcpu"), layout.virtual(layout.vcpu(VM, 0)))
    assert found(seen(layout))["D52"][2] == "CPU 0 and CPU 1 both have it loaded (kvm_running_vcpu)"


def test_a_list_that_does_not_lead_back():
    layout = a_layout()
    OneVcpu(layout).blocked(1)
    layout.memory.set_u64(OneVcpu(layout).node + 8, layout.virtual(layout.new("list_head")))
    assert found(seen(layout))["D12"][0] == BUG


def test_d51_from_6_17_on_who_is_put_is_suppressed_and_who_was_preempted_is_on_no_list():
    layout = a_layout()
    OneVcpu(layout, 0).preempted_blocking()
    OneVcpu(layout, 1).in_user_space()
    OneVcpu(layout, 2).preempted()
    before, after = seen(layout).complete(), as_release(seen(layout), "6.17.4")
    assert audit(before) == []
    assert {(each.rule, each.subject) for each in audit(after)} == {("D50", "vm1234v0"), ("D51", "vm1234v1")}
    assert found(after)["D51"][0] == WARNING


def test_suspicions_are_confirmed_if_it_has_not_run():
    layout = a_layout()
    OneVcpu(layout).blocked().pi(WAKEUP, pir=(0x51,))
    first = seen(layout).complete()
    assert [each.severity for each in confirm([first, seen(layout)])] == [BUG]
    OneVcpu(layout).put(stat__exits=1)
    assert [each.severity for each in confirm([first, seen(layout)])] == [WARNING]


def test_without_devices_nobody_needs_a_wakeup():
    layout = KvmLayout(LayoutConfig(profile="6.12", domains=(DomainConfig(VM, 1),)))
    OneVcpu(layout).in_guest(1).pi(sn=1, cpu=0)
    assert audit(seen(layout)) == []
    layout.memory.set_u8(layout.symbol("enable_ipiv"), 1)
    assert set(found(seen(layout))) == {"D44", "D45"}
    layout.memory.set_u8(layout.symbol("enable_apicv"), 0)
    assert audit(seen(layout)) == []


def test_what_cannot_be_read_makes_no_bug():
    layout = a_layout()
    OneVcpu(layout).blocked(1)
    target = Laid(layout)
    target.lost_pages.add(layout.percpu(1, "wakeup_vcpus_on_cpu") >> 12)
    snapshot = Inspection(target).snapshot
    assert any("wakeup list" in line for line in snapshot.problems)
    assert "D41" not in found(snapshot)


def test_what_a_machine_without_a_vm_is_told():
    layout = KvmLayout(LayoutConfig(profile="6.12", domains=()))
    rests_on = str(coverage(seen(layout)))
    assert "and there is no VM" in rests_on
    assert "are about Xen, and this machine runs Linux" in rests_on


def test_they_are_no_question_of_a_xen():
    xen = coverage(Snapshot("a xen", version="4.20.3"))
    asked = {*xen.checked, *xen.other, *(rule for rule, _ in xen.missing)}
    assert asked == {id for id, rule in RULES.items() if rule.xen}
    assert RULES["D51"].versions == "Linux 6.17 and later"
    assert NOTIFY != WAKEUP
