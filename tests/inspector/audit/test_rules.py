"""For each rule a state that breaks it, and nothing else that does not follow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.audit import audit, confirm, rules
from inspector.audit.rule import RULES
from inspector.model.snapshot import MARKER, dumps, loads
from sim_backend.layout.interrupts import irq_desc
from structs.irte import REMAPPED
from structs.pi_desc import pir_of

P, W = 0xF1, 0xF2
ENTRY0, ENTRY1 = "unit 0 entry 0x18", "unit 0 entry 0x19"


def test_a_sound_machine_breaks_none(machine):
    assert machine.found() == {}
    assert machine.snapshot().problems == ()


def test_d1_blocked_with_the_notification_vector(machine):
    machine.pi(2, nv=P)
    assert machine.found() == {"D1": ["bug d1v2"]}


def test_d2_blocked_on_no_list(machine):
    machine.layout.list_del(machine.node(2))
    machine.set_lock(2, 0)
    assert machine.found() == {"D2": ["bug d1v2"]}
    machine.places[0] = "pi_wakeup_interrupt"
    assert machine.found() == {"D2": ["warning d1v2"]}


def test_d3_notifications_go_to_another_cpu_than_the_lists(machine):
    machine.pi(2, ndst=machine.ndst(2))
    assert machine.found() == {"D3": ["bug d1v2"]}


def test_d3_the_scheduler_may_move_a_blocked_vcpu(machine):
    machine.put(2, processor=0)
    assert machine.found() == {}


def test_d4_outstanding_and_pending_nowhere(machine):
    machine.pi(2, on=1, pir=pir_of([0x52]))
    assert machine.found() == {"D4": ["warning d1v2"]}
    assert machine.found(irr=(), isr=()) == {"D4": ["warning d1v2"]}
    assert machine.found(irr=(W,), isr=()) == {}
    assert machine.found(irr=(), isr=(W,)) == {}


def test_d4_is_a_bug_where_no_vector_on_its_way_would_help(machine):
    machine.pi(3, on=1)
    assert machine.found() == {"D4": ["bug d1v3"]}, "no device posts to it"
    machine.places[0] = "vmx_deliver_posted_intr"
    assert machine.found() == {"D4": ["warning d1v3"]}
    machine.places[0] = "guest"
    machine.pi(3, on=0)
    machine.pi(2, on=1, nv=P)
    assert machine.found() == {"D1": ["bug d1v2"], "D4": ["bug d1v2"]}, "the vector's handler wakes nobody"
    machine.pi(2, nv=W, ndst=machine.ndst(2))
    assert machine.found() == {"D3": ["bug d1v2"], "D4": ["bug d1v2"]}, "it looks through another list"


def test_d4_of_a_cpu_in_mwait_is_a_suspicion_where_a_device_posts(machine):
    """What a device posted just now has not ended the wait yet: the exit latency of a C-state."""
    machine.pi(2, on=1, pir=pir_of([0x62]))
    machine.places.update({0: "idle", 1: "idle"})
    machine.put(0, is_running=0, runstate__state=1)
    machine.pi(0, sn=1)
    (found,) = (finding for finding in audit(waiting(machine.snapshot())) if finding.rule == "D4")
    assert found.suspicion
    assert "waits in MWAIT, which the vector would end" in found.message


def waiting(snapshot):
    """The snapshot with all its CPUs in MWAIT."""
    return replace(snapshot, cpus=tuple(replace(cpu, in_mwait=True) for cpu in snapshot.cpus))


def test_d5_a_vector_that_nothing_will_deliver(machine):
    machine.pi(2, pir=pir_of([0x52]))
    assert machine.found() == {"D5": ["bug d1v2"]}
    machine.places[2] = "vmx_deliver_posted_intr"
    assert machine.found() == {"D5": ["warning d1v2"]}
    (suspicion,) = confirm([machine.snapshot()])
    assert suspicion.suspicion
    assert "0x52" in suspicion.message
    first = machine.snapshot()
    (confirmed,) = confirm([first, machine.snapshot()])
    assert (confirmed.severity, confirmed.suspicion) == ("bug", False)
    machine.put(2, runstate__state_entry_time=12345)
    (again,) = confirm([first, machine.snapshot()])
    assert again.suspicion, "it has run since: that may be another post in progress"


def test_d5_while_it_runs_is_but_a_suspicion(machine):
    machine.pi(0, pir=pir_of([0x31]))
    assert machine.found() == {"D5": ["warning d1v0"]}


def test_d5_a_preempted_vcpu_may_well_have_vectors_in_pir(machine):
    machine.pi(1, pir=pir_of([0x31]))
    assert machine.found() == {}


def test_d6_running_with_notifications_suppressed(machine):
    machine.pi(0, sn=1)
    assert machine.found() == {"D6": ["bug d1v0"]}
    machine.places[0] = "vmx_pi_switch_to"
    assert machine.found() == {"D6": ["warning d1v0"]}


def test_d7_running_with_notifications_to_another_cpu(machine):
    machine.pi(0, ndst=machine.ndst(2))
    assert machine.found() == {"D7": ["bug d1v0"]}
    machine.places[0] = "vmx_pi_switch_to"
    assert machine.found() == {"D7": ["warning d1v0"]}


def test_d8_in_the_guest_with_a_notification_that_does_not_arrive(machine):
    machine.pi(0, on=1, pir=pir_of([0x31]))
    assert machine.found() == {"D8": ["warning d1v0"]}
    # Not even then is it certain: between the unit's write and the local APIC a message is nowhere to be seen.
    assert machine.found(irr=(), isr=()) == {"D8": ["warning d1v0"]}
    assert machine.found(irr=(P,), isr=()) == {}


def test_d31_in_the_guest_as_it_was_when_it_blocked(machine):
    machine.pi(0, nv=W)
    assert machine.found() == {"D31": ["bug d1v0"]}
    machine.places[0] = "vmx_asm_do_vmentry"
    assert machine.found() == {}


def test_d9_lock_pointer_and_lists_disagree(machine):
    machine.set_lock(2, machine.lock(0))
    assert machine.found() == {"D9": ["bug d1v2"]}
    machine.set_lock(2, 0)
    assert machine.found() == {"D9": ["bug d1v2"]}
    machine.layout.list_del(machine.node(2))
    machine.set_lock(2, machine.lock(1))
    found = machine.found()
    assert found.pop("D12") == ["bug d1v2"], "its node is linked to itself"
    assert found == {"D9": ["bug d1v2"]}


def test_d9_under_the_lists_lock_it_may_be_changing(machine):
    machine.set_lock(2, 0)
    machine.layout.memory.write(machine.layout.physical(machine.lock(1)), b"\x01\x00\x02\x00")
    assert machine.found() == {"D9": ["warning d1v2"]}


def test_d10_a_lock_pointer_to_nowhere(machine):
    machine.set_lock(2, machine.lock(1) + 0x40)
    assert machine.found() == {"D10": ["bug d1v2"]}


def test_d11_a_node_that_is_no_vcpus(machine):
    stranger = machine.layout.new_pages()
    machine.layout.list_add_tail(machine.head(1), stranger)
    assert machine.found() == {"D11": ["bug cpu 1"]}


def test_d11_nv_stays_after_the_hooks_are_gone(machine):
    machine.pi(0, domain=2, nv=W)
    assert machine.found() == {"D11": ["bug d2v0"]}
    machine.put(0, domain=2, pause_count=1)
    assert machine.found() == {"D11": ["warning d2v0"]}


def test_d12_a_list_that_is_not_whole(machine):
    layout = machine.layout
    layout.put("list_head", machine.node(3), {"prev": layout.virtual(machine.node(3))})
    assert machine.found() == {"D12": ["bug cpu 1"]}
    layout.put("list_head", machine.node(2), {"next": layout.virtual(machine.node(2))})
    assert machine.found()["D12"] == ["bug cpu 1", "bug d1v2"]
    layout.put("list_head", machine.node(2), {"next": 0x00100100})
    assert machine.found() == {"D12": ["bug cpu 1"]}


def test_d13_blocked_with_notifications_suppressed(machine):
    machine.pi(2, sn=1)
    assert machine.found() == {"D13": ["bug d1v2"]}
    machine.places[0] = "vmx_pi_desc_fixup"
    assert machine.found() == {"D13": ["warning d1v2"]}


def test_d14_a_vector_that_xen_does_not_use(machine):
    machine.pi(0, nv=0x41)
    assert machine.found() == {"D14": ["bug d1v0"]}


def test_d15_reserved_bits(machine):
    machine.pi(0, rsvd_511_320=1 << 100)
    assert machine.found() == {"D15": ["bug d1v0"]}


def test_d15_ndst_in_the_wrong_form(machine):
    machine.pi(0, ndst=0x1_0000 if machine.x2apic else 0)
    if not machine.x2apic:
        machine.pi(0, ndst=0x01)
        assert machine.found() == {"D15": ["bug d1v0"]}
    else:
        assert machine.found() == {"D7": ["bug d1v0"]}


def test_d16_notifications_to_a_cpu_that_is_not_there(machine):
    machine.pi(2, ndst=machine.ndst(7))
    assert machine.found() == {"D3": ["bug d1v2"], "D16": ["bug d1v2"]}


def test_d16_a_posted_entry_to_a_vcpu_that_no_hook_has_seen(machine):
    machine.pi(1, ndst=MARKER)
    assert machine.found() == {}
    machine.posted(0, pda=machine.layout.pi_desc(1, 1))
    assert machine.found() == {"D16": ["bug d1v1"], "D18": [f"bug {ENTRY0}"]}


def test_d16_nor_to_one_whose_domain_has_no_hooks(machine):
    hooks = {"arch.hvm.pi_ops.flags": 0, "arch.hvm.pi_ops.vcpu_block": 0}
    machine.layout.put("domain", machine.layout.domain(1), hooks)
    machine.pi(1, ndst=MARKER)
    assert "D16" not in machine.found()
    machine.posted(0, pda=machine.layout.pi_desc(1, 1))
    assert machine.found()["D16"] == ["bug d1v1"]


def test_d17_a_posted_entry_to_no_vcpu(machine):
    nowhere = machine.layout.new_pages()
    machine.posted(0, pda=nowhere)
    assert machine.found() == {"D17": [f"bug {ENTRY0}"], "D18": [f"bug {ENTRY0}"]}


def test_d17_a_posted_entry_to_another_domains_vcpu(machine):
    machine.layout.post_msi(machine.layout.device(0x18).msis[0], 2, 0, 0x61)
    machine.pi(0, domain=2, ndst=machine.ndst(0))
    assert machine.found() == {"D17": [f"bug {ENTRY0}"]}


def test_d18_entry_and_record_differ(machine):
    machine.posted(0, vector=0x99)
    assert machine.found() == {"D18": [f"bug {ENTRY0}"]}
    machine.places[2] = "pi_update_irte"
    assert machine.found() == {"D18": [f"warning {ENTRY0}"]}


def test_d18_a_remapped_entry_has_its_irqs_vector(machine):
    irq = machine.layout.device(0x20).msis[0].irq
    vector = machine.layout.get("irq_desc", irq_desc(machine.layout, irq), "arch.vector")
    machine.layout.put("irq_desc", irq_desc(machine.layout, irq), {"arch.vector": vector + 1})
    assert machine.found() == {"D18": ["bug unit 0 entry 0x1a"]}
    # None is assigned.
    machine.layout.put("irq_desc", irq_desc(machine.layout, irq), {"arch.vector": 0xFFFF})
    assert machine.found() == {}


def test_d19_bits_of_a_remapped_entry_in_a_posted_one(machine):
    machine.posted(0, rsvd_7_2=1)
    assert machine.found() == {"D19": [f"bug {ENTRY0}"]}


def test_d20_a_source_that_is_not_checked(machine):
    machine.posted(1, svt=0)
    assert machine.found() == {"D20": [f"bug {ENTRY1}"]}


def test_d21_posted_in_a_unit_that_cannot_post(machine):
    cap = machine.layout.register(0, "CAP")
    machine.layout.memory.set_u64(cap, machine.layout.memory.u64(cap) & ~(1 << 59))
    assert machine.found() == {"D21": [f"bug {ENTRY0}", f"bug {ENTRY1}"]}


def test_d22_unit_and_xen_disagree_about_x2apic(machine):
    irta = machine.layout.register(0, "IRTA")
    machine.layout.memory.set_u64(irta, machine.layout.memory.u64(irta) ^ 1 << 11)
    assert machine.found()["D22"] == ["bug unit 0"]


def test_d23_a_vmcs_with_another_vcpus_descriptor(machine):
    vmcs = machine.layout.new_pages()
    machine.put(0, arch__hvm__vmx__vmcs_pa=vmcs)
    machine.layout.memory.set_u64(vmcs + 0x120, machine.layout.pi_desc(1, 1))
    assert machine.found() == {"D23": ["warning d1v0"]}
    machine.layout.memory.set_u64(vmcs + 0x128, machine.layout.pi_desc(1, 0))
    assert machine.found() == {}


def test_d24_xen_counts_other_entries(machine):
    machine.irte(0, bytes(16))
    assert machine.found() == {"D24": ["warning unit 0"]}


def test_d25_trouble_of_the_unit(machine):
    tail = machine.layout.register(0, "IQT")
    machine.layout.memory.set_u64(tail, machine.layout.memory.u64(tail) + 16)
    assert machine.found() == {"D25": ["warning unit 0"]}
    machine.layout.memory.set_u64(tail, machine.layout.memory.u64(tail) - 16)
    machine.layout.memory.write(machine.layout.register(0, "FSTS"), b"\x10\0\0\0")
    assert machine.found() == {"D25": ["warning unit 0"]}


def test_d26_posted_again(machine):
    page = machine.layout.vlapic(1, 1)
    machine.layout.memory.write(page + 0x200 + 0x10, (1 << 0x11).to_bytes(4, "little"))
    machine.pi(1, pir=pir_of([0x31]))
    assert machine.found() == {"D26": ["info d1v1"]}


def test_d27_the_list_of_an_offline_cpu(machine):
    machine.layout.offline(1)
    found = machine.found()
    assert found.pop("D16") == ["warning d1v2", "warning d1v3"]
    assert found == {"D27": ["warning cpu 1"]}
    first, again = machine.snapshot(), machine.snapshot()
    assert {finding.severity for finding in confirm([first, again])} == {"bug"}


def test_d28_what_cannot_be_read(machine):
    machine.layout.put("domain", machine.layout.domain(2), {"vcpu": 0xFFFF830000000000 + (1 << 40)})
    assert machine.found() == {"D28": ["warning machine"]}


def test_d29_an_urgent_entry(machine):
    machine.posted(0, urg=1)
    assert machine.found() == {"D29": [f"warning {ENTRY0}"]}


def unseen(machine, vector=0x31, **values):
    """Give d1v2, which is blocked, a vector in its virtual IRR, and other members of its `struct vcpu`."""
    register(machine, 0x200 + 0x10 * (vector // 32), 1 << vector % 32)
    machine.put(2, **{"arch__user_regs__rflags": 0x202} | values)


def register(machine, offset, value):
    """Write a register of d1v2's virtual local APIC."""
    machine.layout.memory.write(machine.layout.vlapic(1, 2) + offset, value.to_bytes(4, "little"))


def test_d30_an_interrupt_that_a_blocked_vcpu_could_take(machine):
    unseen(machine)
    assert machine.found() == {"D30": ["bug d1v2"]}
    machine.places[2] = "vlapic_set_irq"
    assert machine.found() == {"D30": ["warning d1v2"]}
    first = machine.snapshot()
    (confirmed,) = confirm([first, machine.snapshot()])
    assert (confirmed.rule, confirmed.severity) == ("D30", "bug")
    assert "vector 0x31" in confirmed.message
    machine.put(2, runstate__state_entry_time=12345)
    (again,) = confirm([first, machine.snapshot()])
    assert again.suspicion, "it has run since"


def test_d30_what_its_priority_holds_back(machine):
    unseen(machine, 0x31)
    register(machine, 0x80, 0x2F)
    assert machine.found() == {"D30": ["bug d1v2"]}
    register(machine, 0x80, 0x30)
    assert machine.found() == {}, "TPR, of the same class"
    register(machine, 0x80, 0)
    register(machine, 0x110, 1 << 0x10)
    assert machine.found() == {}, "a vector in service, of the same class"
    register(machine, 0x110, 0)
    register(machine, 0x130, 1 << 0x1F)
    assert machine.found() == {}, "a vector in service, of a higher class"
    unseen(machine, 0x81)
    assert machine.found() == {"D30": ["bug d1v2"]}, "the highest vector is what counts"


def test_d30_ppr_that_holds_it_back_is_a_doubt(machine):
    unseen(machine)
    register(machine, 0xA0, 0x30)
    assert machine.found() == {"D30": ["warning d1v2"]}


def test_d30_rflags_if(machine):
    unseen(machine, arch__user_regs__rflags=0x2)
    assert machine.found() == {}
    unseen(machine, arch__user_regs__rflags=0)
    assert machine.found() == {"D30": ["warning d1v2"]}, "none was saved: it is not known"


def test_d30_rflags_of_a_vcpu_whose_state_a_cpu_holds_are_on_its_stack(machine):
    layout = machine.layout
    layout.memory.set_u64(layout.percpu(2, "curr_vcpu"), layout.virtual(layout.vcpu(1, 2)))
    unseen(machine)
    assert machine.found() == {"D30": ["warning d1v2"]}, "what struct vcpu says is old"
    layout.put("cpu_info", layout.cpu_info(2), {"guest_cpu_user_regs.rflags": 0x202})
    assert machine.found() == {"D30": ["bug d1v2"]}
    layout.put("cpu_info", layout.cpu_info(2), {"guest_cpu_user_regs.rflags": 0x46})
    assert machine.found() == {}


def test_d30_an_outstanding_notification_may_wake_it_late(machine):
    unseen(machine)
    machine.pi(2, on=1)
    assert machine.found(irr=(W,), isr=()) == {"D30": ["warning d1v2"]}


def test_d30_who_waits_for_something_else(machine):
    unseen(machine, poll_evtchn=0xFFFFFFFF)
    assert machine.found() == {}, "SCHEDOP_poll"
    unseen(machine, poll_evtchn=0)
    assert machine.found() == {"D30": ["bug d1v2"]}
    unseen(machine, pause_count=1)
    assert machine.found() == {}
    unseen(machine, pause_count=0, pause_flags=3)
    assert "D30" not in machine.found(), "offline"
    unseen(machine, pause_flags=1, is_running=1)
    assert "D30" not in machine.found(), "about to block, and may still see it"


def test_d30_a_disabled_apic_delivers_nothing(machine):
    if not machine.layout.profile.has("vcpu", "arch.hvm.vlapic.hw.disabled"):
        pytest.skip("this build's profile does not describe struct vlapic's hw")
    unseen(machine, arch__hvm__vlapic__hw__disabled=2)
    assert machine.found() == {}


def test_d30_also_without_the_hooks(machine):
    machine.put(0, domain=2, pause_flags=1, runstate__state=2, arch__user_regs__rflags=0x202)
    machine.layout.memory.write(machine.layout.vlapic(2, 0) + 0x210, b"\x02\0\0\0")
    assert machine.found() == {"D30": ["bug d2v0"]}


def test_d30_is_silent_about_a_snapshot_that_lacks_what_it_needs(machine):
    unseen(machine)
    kept = json.loads(dumps(machine.snapshot()))
    for part in (*kept["vcpus"], *kept["cpus"]):
        for name in ("tpr", "ppr", "apic_off", "interruptible", "polling"):
            part.pop(name, None)
    assert audit(loads(json.dumps(kept))) == []


def test_d19_a_remapped_entry_with_a_destination_of_the_other_mode(machine):
    msi = machine.layout.device(0x20).msis[0]
    place = machine.layout.irte(msi.unit, msi.index)
    entry = REMAPPED.parse(machine.layout.memory.read(place, 16))
    machine.layout.memory.write(place, REMAPPED.build(dict(entry) | {"dst": 0x1_0000}))
    # In x2APIC mode it is no reserved bit but an APIC that no CPU has.
    assert machine.found() == {"D34" if machine.x2apic else "D19": [f"bug unit 0 entry {msi.index:#x}"]}


def test_d32_a_message_that_was_overwritten(machine):
    msi = machine.layout.device(0x20).msis[0]
    machine.layout.put("msi_desc", msi.msi_desc, {"msg.address_lo": msi.address})
    assert machine.found() == {"D32": [f"warning irq {msi.irq}"]}


def test_every_rule_is_explained_and_tested_here():
    files = (Path(__file__), Path(__file__).with_name("test_interrupts.py"))
    source = "".join(file.read_text("utf-8") for file in files)
    for rule in rules():
        assert f"def test_{rule.id.lower()}_" in source, f"no test of {rule.id}"
        assert "Look next at" in rule.explanation or rule.id == "D28"
    assert [rule.id for rule in rules()] == [f"D{number}" for number in range(1, 40)]
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
