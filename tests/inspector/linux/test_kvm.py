"""KVM's VMs and vCPUs, read from a laid out Linux."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.base.errors import UsageError, VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands import command
from inspector.linux import kvm
from inspector.linux.find import find
from inspector.model.snapshot import dumps, loads
from sim_backend.layout.kvm.layout import DomainConfig, KvmLayout, LayoutConfig
from structs.pi_desc import ndst_apic_id
from tests.inspector.linux.kvm_states import ON, SN, VM, WAKEUP, OneVcpu, a_layout, seen, the_vcpu
from tests.inspector.linux.laid import Laid


def test_vms_and_vcpus_are_as_they_were_laid_out():
    layout = a_layout()
    OneVcpu(layout, 1).blocked(1)
    snapshot = seen(layout)
    assert [(domain.name, domain.address) for domain in snapshot.domains] == [
        (f"vm{pid}", layout.virtual(layout.vm(pid))) for pid in (VM, 77)
    ]
    assert [(vcpu.name, vcpu.address) for vcpu in snapshot.vcpus] == [
        (f"vm{pid}v{v}", layout.virtual(layout.vcpu(pid, v))) for pid, count in ((VM, 3), (77, 1)) for v in range(count)
    ]
    assert [vcpu.pi.address for vcpu in snapshot.vcpus] == [
        layout.pi_desc(pid, v) for pid, count in ((VM, 3), (77, 1)) for v in range(count)
    ]
    assert [vcpu.kvm.thread for vcpu in snapshot.vcpus] == [1235, 1236, 1237, 78]
    assert [(each.cpu, [node.vcpu for node in each.nodes]) for each in snapshot.lists] == [(0, []), (1, ["vm1234v1"])]
    assert (snapshot.posted_intr_vector, snapshot.pi_wakeup_vector) == (0xF2, 0xF1)
    assert snapshot.problems == ()
    assert loads(dumps(snapshot)) == snapshot.complete()


@settings(max_examples=60)
@given(
    st.integers(-1, 1),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, (1 << 64) - 1),
    st.sets(st.integers(0, 255)),
)
def test_every_member_is_read_as_it_was_written(cpu, mode, waits, preempted, ready, asleep, control, pir):
    layout = a_layout()
    one = OneVcpu(layout, 2).put(cpu=cpu, mode=mode, preempted=preempted, ready=ready, stat__exits=control)
    one.task(int(asleep))
    if waits:
        one.waits()
    layout.put("pi_desc", layout.pi_desc(VM, 2), {"control": control})
    layout.memory.write(layout.pi_desc(VM, 2), sum(1 << vector for vector in pir).to_bytes(32, "little"))
    _, vcpu = the_vcpu(layout, 2)
    assert vcpu.cpu == (None if cpu < 0 else cpu)
    assert vcpu.kvm.mode == kvm.MODES[mode]
    assert (vcpu.kvm.blocking, vcpu.blocked) == (waits, waits)
    assert (vcpu.kvm.preempted, vcpu.kvm.ready, vcpu.kvm.runnable) == (preempted, ready, not asleep)
    assert vcpu.kvm.exits == control
    assert vcpu.pi.pir == tuple(sorted(pir))
    assert (vcpu.pi.on, vcpu.pi.sn, vcpu.pi.nv) == (control & ON, control >> 1 & 1, control >> 16 & 0xFF)
    assert ndst_apic_id(vcpu.pi.ndst, True) == control >> 32
    assert SN == 2


def test_virtual_apics_are_read():
    layout = a_layout()
    page = layout.vlapic(VM, 0)
    layout.memory.set_u32(page + 0x200 + 0x10 * (0x51 >> 5), 1 << (0x51 & 31))
    layout.memory.set_u32(page + 0x100 + 0x10 * (0x62 >> 5), 1 << (0x62 & 31))
    layout.memory.set_u8(page + 0x80, 0x30)
    _, vcpu = the_vcpu(layout)
    assert (vcpu.irr, vcpu.isr, vcpu.tpr) == ((0x51,), (0x62,), 0x30)


def test_two_vms_of_one_process():
    layout = KvmLayout(LayoutConfig(profile="6.12", domains=(DomainConfig(5, 1), DomainConfig(6, 1))))
    layout.put("kvm", layout.vm(6), {"userspace_pid": 5})
    assert [vcpu.name for vcpu in seen(layout).vcpus] == ["vm5v0", "vm5.1v0"]


def test_no_vm_and_no_kvm():
    empty = KvmLayout(LayoutConfig(profile="6.12", domains=()))
    assert [each.why for each in seen(empty).absences if each.member == "vcpus"] == [
        "kvm is loaded, and its vm_list is empty"
    ]
    head = empty.symbol("modules")
    empty.list_init(head)
    snapshot = seen(empty)
    assert [each.why for each in snapshot.absences if each.member == "vcpus"] == ["the module kvm is not loaded"]
    assert snapshot.problems == ()
    assert [cpu.apic_id for cpu in snapshot.cpus] == [0, 1]


def test_without_kvm_intel_there_are_no_descriptors():
    layout = a_layout()
    nodes = layout.list_nodes(layout.symbol("modules"))
    layout.list_del(nodes[1])
    snapshot = seen(layout)
    assert [vcpu.pi for vcpu in snapshot.vcpus] == [None] * 4
    assert any("kvm_intel is not loaded" in each.why for each in snapshot.absences)
    rows = command.parse(["vcpus"]).answer(Inspection(Laid(layout))).document["vcpus"]
    assert {row["situation"] for row in rows} == {"K10"}


def damage_vm_list(layout):
    layout.memory.set_u64(layout.vm(77) + layout.member("kvm", "vm_list"), 0xFFFF900000000000)


def damage_array(layout):
    layout.put("kvm", layout.vm(VM), {"vcpu_array.xa_head": 0xFFFF900000000002})


def damage_apic(layout):
    layout.put("vcpu_vmx", layout.vcpu(VM, 0), {"vcpu.arch.apic": 0xFFFF900000000000})


def damage_pid(layout):
    layout.put("vcpu_vmx", layout.vcpu(VM, 0), {"vcpu.pid": 0xFFFF900000000000})


def damage_irqfds(layout):
    layout.memory.set_u64(layout.vm(VM) + layout.member("kvm", "irqfds.items"), 0xFFFF900000000000)


def damage_list(layout):
    layout.memory.set_u64(layout.percpu(1, "wakeup_vcpus_on_cpu"), 0xFFFF900000000000)


@pytest.mark.parametrize(
    ("damage", "words", "left"),
    [
        (damage_vm_list, "vm_list", ["vm77v0"]),
        (damage_array, "vm1234: its vCPUs", ["vm77v0"]),
        (damage_apic, None, ["vm1234v0", "vm1234v1", "vm1234v2", "vm77v0"]),
        (damage_pid, None, ["vm1234v0", "vm1234v1", "vm1234v2", "vm77v0"]),
        (damage_irqfds, "vm1234: its irqfds", ["vm1234v0", "vm1234v1", "vm1234v2", "vm77v0"]),
        (damage_list, None, ["vm1234v0", "vm1234v1", "vm1234v2", "vm77v0"]),
    ],
)
def test_what_is_damaged_is_told_and_the_rest_is_there(damage, words, left):
    layout = a_layout()
    damage(layout)
    snapshot = seen(layout)
    assert [vcpu.name for vcpu in snapshot.vcpus] == left
    if words:
        assert any(words in line for line in snapshot.problems), snapshot.problems


def test_find_is_not_misled_by_an_empty_list():
    layout = a_layout()
    absent = []
    assert kvm.find(find(Laid(layout)), absent) is not None
    assert absent == []


def answer(layout, line):
    return command.parse(line.split()).answer(Inspection(Laid(layout)))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("info", "vm1234: 3 vCPUs, 2 irqs of devices; vm77: 1 vCPUs, 0 irqs of devices"),
        ("vcpus", "K4 blocked, on a wakeup list"),
        ("vcpus vm1234", "K10 never run"),
        ("vcpus d1234v1", "1236, asleep"),
        ("vcpus vm1234v1", "put on a wakeup list"),
        ("pi vm1234v1", "vector 0xf1 wakeup at CPU 1"),
        ("blocked", "vm1234v1"),
        ("irqs", "posted to vm1234v1, vm1234 GSI 48"),
        ("irqs --domain 1234", "posted to vm1234v1"),
        ("route irte 0x10", "pi_wakeup_handler looks through CPU 1's wakeup list"),
        ("audit", "nothing wrong found"),
    ],
)
def test_commands_speak_of_vms(line, words):
    layout = a_layout()
    OneVcpu(layout, 1).blocked(1)
    layout.post_msi(layout.device(0x300).msis[0], VM, 1, 0x41)
    answered = answer(layout, line)
    assert words in " ".join(map(repr, answered.blocks))
    assert "d1234" not in json.dumps(answered.document)


@pytest.mark.parametrize("line", ["vcpus", "blocked"])
def test_commands_say_that_there_is_no_vm(line):
    layout = KvmLayout(LayoutConfig(profile="6.12", domains=()))
    answered = answer(layout, line)
    assert "vm_list is empty" in " ".join(map(repr, answered.blocks))


def test_a_vcpu_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="there is no vCPU vm9v0; those that were found: vm1234v0"):
        answer(a_layout(), "pi vm9v0")
    with pytest.raises(UsageError, match="no vCPU of a domain vm9; those that were found are of vm1234, vm77"):
        answer(a_layout(), "vcpus vm9")


@pytest.mark.parametrize(
    "line", ["info", "vcpus", "vcpus vm1234v0", "pi vm1234v1", "blocked", "blocked 1", "irqs", "audit"]
)
def test_documents_are_as_their_schemas_say(run, tmp_path, line):
    layout = a_layout()
    OneVcpu(layout, 1).blocked(1).pi(WAKEUP, cpu=1)
    layout.post_msi(layout.device(0x300).msis[0], VM, 1, 0x41)
    saved = tmp_path / "saved.json"
    saved.write_text(dumps(seen(layout)))
    told = run("dump", saved, *line.split(), "--json")
    assert told.status == 0, told.err
    assert told.json


def test_the_report_has_them(run, tmp_path):
    layout = a_layout()
    OneVcpu(layout, 1).blocked(1)
    saved, page = tmp_path / "saved.json", tmp_path / "page.html"
    saved.write_text(dumps(seen(layout)))
    told = run("dump", saved, "report", page)
    assert told.status == 0, told.err
    assert "K4 blocked, on a wakeup list" in page.read_text()


def test_what_changed_between_two_looks():
    from inspector.analysis.diff import diff

    layout = a_layout()
    before = seen(layout).complete()
    OneVcpu(layout, 1).blocked(1)
    layout.post_msi(layout.device(0x300).msis[0], VM, 1, 0x41)
    changes = {(each.subject, each.field): (each.before, each.after) for each in diff(before, seen(layout).complete())}
    assert changes["vm1234v1", "kvm.blocking"] == (False, True)
    assert changes["vm1234v1", "blocking_list"] == (None, 1)
    assert changes["vm1234 GSI 48", "vcpu"] == (None, 1)


DAMAGED = a_layout()
OneVcpu(DAMAGED, 1).blocked(1)
DAMAGED.post_msi(DAMAGED.device(0x300).msis[0], VM, 1, 0x41)
USED = [at for at in range(4 << 20, DAMAGED.heap.next, 8) if DAMAGED.memory.u64(at)]
VALUES = st.integers(0, (1 << 64) - 1) | st.sampled_from(USED).map(DAMAGED.memory.u64)
"""Numbers, and pointers that lead elsewhere, which are worse."""


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(USED), VALUES, max_size=6))
def test_damage_anywhere_ends_in_what_is_left_or_in_a_line(changes):
    layout = DAMAGED.copy()
    for place, value in changes.items():
        layout.memory.set_u64(place, value)
    inspection = Inspection(Laid(layout))
    for line in ("vcpus", "blocked", "irqs", "info", "audit"):
        with suppress(VtdpiError):
            list(command.parse(line.split()).answer(inspection).blocks)


def test_a_vcpu_that_is_there_twice_is_told():
    layout = a_layout()
    layout.put("vcpu_vmx", layout.vcpu(VM, 2), {"vcpu.vcpu_id": 1})
    snapshot = seen(layout)
    assert [vcpu.name for vcpu in snapshot.vcpus] == ["vm1234v0", "vm1234v1", "vm77v0"]
    assert any("vm1234v1 is there a second time" in line for line in snapshot.problems)
