"""Rules about blocked vCPUs: for each a state that breaks it, and nothing else that does not follow."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from inspector.audit import audit, confirm, the_rule
from inspector.model.absence import UNREADABLE, Absence
from inspector.model.snapshot import (
    BLOCK,
    IN_GUEST,
    IN_XEN,
    MARKER,
    BlockingList,
    Cpu,
    Descriptor,
    Snapshot,
    Vcpu,
    dumps,
    loads,
)
from inspector.model.vtd import VtdUnit
from structs.irte import POSTED
from structs.pi_desc import pir_of

P, W = 0xF1, 0xF2


ENTRY0, ENTRY1 = "unit 0 entry 0x18", "unit 0 entry 0x19"


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


def test_d13_blocked_with_notifications_suppressed(machine):
    machine.pi(2, sn=1)
    assert machine.found() == {"D13": ["bug d1v2"]}
    machine.places[0] = "vmx_pi_desc_fixup"
    assert machine.found() == {"D13": ["warning d1v2"]}


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


PI = Descriptor(0x1000, (), on=0, sn=0, nv=W, ndst=1)
CPU0, CPU1 = Cpu(0, 0, mode=IN_GUEST), Cpu(1, 1, mode=IN_GUEST, irr=(), isr=())
LISTS = tuple(BlockingList(n, 0x9000 + n, 0x9100 + n, False, following=1, preceding=1) for n in range(2))
DONE = "no CPU executes Xen, so nothing is half done"
IN_PROGRESS = "a suspicion: CPU 0, in vmx_vcpu_block+0x1c, may be in the middle of changing this"
BUSY = replace(CPU0, mode=IN_XEN, function="vmx_vcpu_block+0x1c")


def said(rule, pi=PI, cpus=(CPU0, CPU1), vcpu=None, **known):
    """What a rule says of d1v0, which is blocked on CPU 1's list: severity and message."""
    known = {"x2apic": True, "posted_intr_vector": P, "pi_wakeup_vector": W} | known
    fields = {"is_running": False, "pause_flags": 1, "hooks": (BLOCK,), "blocking_list": 1, "lock": 0x9101}
    one = Vcpu(1, 0, hvm=True, pi=pi, **fields | (vcpu or {}))
    found = audit(Snapshot("a machine", cpus=cpus, vcpus=(one,), lists=LISTS, **known), the_rule(rule))
    assert all(finding.subject == "d1v0" for finding in found)
    return [(finding.severity, finding.message) for finding in found]


@pytest.mark.parametrize("rule", [f"D{number}" for number in (1, 2, 3, 4, 5, 13, 16, 30)])
@pytest.mark.parametrize(
    "quiet",
    [
        {},
        {"is_running": True, "in_guest": True},
        {"pause_flags": 0},
        {"hooks": ()},
        {"runstate": "runnable", "pause_flags": 2},
    ],
    ids=str,
)
def test_nothing_is_said_of_a_vcpu_that_is_as_it_should_be(rule, quiet):
    assert said(rule, vcpu=quiet) == []


def test_d1_in_words():
    text = "is blocked, but NV is 0xf1 and not the wakeup vector 0xf2: a posted interrupt does not wake it"
    assert said("D1", replace(PI, nv=P)) == [("bug", text)]
    # Where Xen has no wakeup vector, or it is not known, there is nothing to compare with.
    for vector in (0, None):
        assert said("D1", replace(PI, nv=P), pi_wakeup_vector=vector) == []


def test_d2_in_words():
    nowhere = {"lock": 0, "blocking_list": None}
    text = "is blocked and on no CPU's list: the wakeup handler cannot find it ({})"
    assert said("D2", vcpu=nowhere) == [("bug", text.format(DONE))]
    assert said("D2", cpus=(BUSY, CPU1), vcpu=nowhere) == [("warning", text.format(IN_PROGRESS))]
    assert said("D2", vcpu={"lock": 0}) == said("D2", vcpu={"blocking_list": None}) == []


def test_d3_in_words():
    text = (
        "is blocked on the list of CPU 1 (APIC 0x1), but NDST sends to APIC 0x0: "
        "the wakeup vector arrives where nobody looks for it ({})"
    )
    wrong = replace(PI, ndst=0)
    assert said("D3", wrong) == [("bug", text.format(DONE))]
    assert said("D3", wrong, cpus=(BUSY, CPU1)) == [("warning", text.format(IN_PROGRESS))]
    assert said("D3", wrong, vcpu={"blocking_list": None}) == said("D3", wrong, x2apic=None) == []
    assert said("D3", wrong, cpus=(CPU0,)) == [], "nothing is known of CPU 1"


def test_d4_in_words():
    outstanding = replace(PI, on=1, pir=(0x31, 0x52))
    text = "is blocked with ON=1, and vector 0xf2 is {}; PIR holds vectors 0x31, 0x52: nothing wakes it"
    there = "not pending at CPU 1 (a suspicion: its message may be on its way)"
    assert said("D4", outstanding) == [("warning", text.format(there))]
    assert (
        "not pending at CPU 1 (a suspicion: its message may be on its way): "
        in (said("D4", replace(outstanding, pir=()))[0][1])
    )
    assert said("D4", outstanding, cpus=(CPU0, replace(CPU1, isr=(W,)))) == []
    unread = said("D4", outstanding, cpus=(CPU0, replace(CPU1, irr=None)))
    wait = "its message may be on its way, and local APICs cannot be read here"
    assert unread == [("warning", text.format(f"not pending at CPU 1 (a suspicion: {wait})"))]
    waits = said("D4", outstanding, cpus=(CPU0, replace(CPU1, irr=None, in_mwait=True)))
    assert "(a suspicion: CPU 1 waits in MWAIT, which the vector would end; it may have been sent" in waits[0][1]
    read = said("D4", outstanding, cpus=(CPU0, replace(CPU1, in_mwait=True)))
    assert "it may have been sent just now)" in read[0][1], "its local APIC was read"


def test_d4_why_it_is_a_bug_in_words():
    outstanding = replace(PI, on=1)
    text = "is blocked with ON=1, and vector {} is {} ({}; " + DONE + "): nothing wakes it"
    nobody = "pending at no CPU, for NDST names none that is known"
    gone = text.format("0xf2", nobody, "and no online CPU would take it")
    assert said("D4", replace(outstanding, ndst=7)) == [("bug", gone)]
    offline = text.format("0xf2", "not pending at CPU 1", "and no online CPU would take it")
    assert said("D4", outstanding, cpus=(CPU0, replace(CPU1, online=False))) == [("bug", offline)]
    # A CPU that keeps its area may be coming, or going.
    assert said("D4", outstanding, cpus=(CPU0, replace(CPU1, online=False, offset=1)))[0][0] == "warning"
    other = text.format("0xf1", "not pending at CPU 1", "and its handler wakes nobody")
    assert said("D4", replace(outstanding, nv=P)) == [("bug", other)]
    elsewhere = text.format("0xf2", "not pending at CPU 1", "and its handler would not find the vCPU on CPU 1's list")
    assert said("D4", outstanding, vcpu={"blocking_list": 0}) == [("bug", elsewhere)]
    alone = "and no device posts to it: Xen, which does, wakes whom it posts to itself"
    assert said("D4", outstanding, build_id="0a") == [("bug", text.format("0xf2", "not pending at CPU 1", alone))]
    unread = (Absence(UNREADABLE, "machine", "it leads nowhere", member="msis"),)
    assert said("D4", outstanding, build_id="0a", absent=unread)[0][0] == "warning"
    # Whatever it is, it may be about to change while a CPU is in Xen.
    assert said("D4", replace(outstanding, ndst=7), cpus=(BUSY, CPU1))[0][0] == "warning"


def test_d5_in_words():
    waits = replace(PI, pir=(0x52,))
    text = (
        "is blocked with vector 0x52 posted in PIR with ON=0 and SN=0: "
        "its wake-up is lost until something else is posted ({})"
    )
    assert said("D5", waits) == [("bug", text.format(DONE))]
    doubt = "a suspicion: a CPU in Xen may be between the two steps of a post"
    assert said("D5", waits, cpus=(BUSY, CPU1)) == [("warning", text.format(doubt))]
    running = {"is_running": True, "pause_flags": 0}
    text = (
        "runs with vector 0x52 posted in PIR with ON=0 and SN=0: "
        "not delivered until something else is posted (a suspicion: it may be in progress)"
    )
    assert said("D5", waits, vcpu=running) == [("warning", text)]
    assert said("D5", replace(waits, on=1)) == said("D5", replace(waits, sn=1)) == []


def test_d13_in_words():
    text = "is blocked with SN=1: posts are recorded and wake nobody ({})"
    assert said("D13", replace(PI, sn=1)) == [("bug", text.format(DONE))]
    assert said("D13", replace(PI, sn=1), cpus=(BUSY, CPU1)) == [("warning", text.format(IN_PROGRESS))]


def test_d16_in_words():
    text = "is blocked, and NDST sends to APIC {}, which no online CPU has: notifications are lost"
    assert said("D16", replace(PI, ndst=7)) == [("bug", text.format("0x7"))]
    gone = replace(CPU1, online=False)
    assert said("D16", cpus=(CPU0, gone)) == [("bug", text.format("0x1"))]
    going = " (a suspicion: that CPU may be going offline just now)"
    assert said("D16", cpus=(CPU0, replace(gone, offset=0x1000))) == [("warning", text.format("0x1") + going)]
    for known in ({"x2apic": None}, {"cpus": (replace(CPU0, online=False),)}):
        assert said("D16", replace(PI, ndst=7), **known) == []
    assert said("D16", replace(PI, ndst=7, sn=1)) == [], "nothing is sent"


def test_d16_in_words_of_a_vcpu_that_no_hook_has_seen():
    entry = POSTED.build({"p": 1, "im": 1, "vector": 0x61, "pda": PI.address})
    unit = VtdUnit(0, 0, base=0x1000, size=256, indices=(5,), raw=entry)
    text = "is referred to by a posted entry, and its NDST is 0xffffffff: no CPU is notified"
    assert said("D16", replace(PI, ndst=MARKER), units=(unit,)) == [("bug", text)]
    assert said("D16", replace(PI, ndst=MARKER)) == []


def test_d30_in_words():
    takes = {"irr": (0x31, 0x45), "isr": (), "tpr": 0x20, "interruptible": True}
    text = (
        "is blocked with vector 0x45 in its virtual APIC's IRR, and priority 0x20 does not hold it back: "
        "it ought to have been woken, and sleeps until something else happens ({})"
    )
    assert said("D30", vcpu=takes) == [("bug", text.format(DONE))]
    for doubt, changed, pi in (
        ("ON=1, so its wake-up may be on its way", {}, replace(PI, on=1)),
        ("by PPR=0x40 it would have to wait", {"ppr": 0x40}, PI),
        ("its RFLAGS.IF is not known", {"interruptible": None}, PI),
    ):
        assert said("D30", pi, vcpu=takes | changed) == [("warning", text.format(f"a suspicion: {doubt}"))]
    busy = text.format("a suspicion: a CPU in Xen may be about to wake it")
    assert said("D30", cpus=(BUSY, CPU1), vcpu=takes) == [("warning", busy)]
    assert said("D30", vcpu=takes | {"ppr": 0x3F}) == [("bug", text.format(DONE))], "a lower class"
    for silent in (
        {"irr": None},
        {"irr": ()},
        {"isr": None},
        {"tpr": None},
        {"tpr": 0x40},
        {"isr": (0x40,)},
        {"interruptible": False},
        {"apic_off": True},
        {"polling": True},
        {"pause_count": 1},
        {"pause_flags": 3},
        {"is_running": None},
    ):
        assert said("D30", vcpu=takes | silent) == [], silent


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
