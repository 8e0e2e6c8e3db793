"""Rules about running vCPUs: for each a state that breaks it, and nothing else that does not follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.audit import audit, the_rule
from inspector.model.snapshot import BLOCK, MARKER, SWITCH_TO, BlockingList, Cpu, Descriptor, Snapshot, Vcpu
from structs.pi_desc import pir_of

P, W = 0xF1, 0xF2


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


def test_d26_posted_again(machine):
    page = machine.layout.vlapic(1, 1)
    machine.layout.memory.write(page + 0x200 + 0x10, (1 << 0x11).to_bytes(4, "little"))
    machine.pi(1, pir=pir_of([0x31]))
    assert machine.found() == {"D26": ["info d1v1"]}


PI = Descriptor(0x1000, (0x31, 0x52), on=0, sn=0, nv=P, ndst=0)
CPU = Cpu(0, 0)
LISTS = (BlockingList(0, 0x9000, 0x9010, locked=False, following=0x9000, preceding=0x9000),)


def said(rule: str, pi: Descriptor = PI, on: Cpu = CPU, **fields) -> list[tuple[str, str]]:
    """What a rule says of d1v0, which runs in the guest on CPU 0: severity and message."""
    fields = {"cpu": 0, "is_running": True, "in_guest": True, "hooks": (BLOCK, SWITCH_TO)} | fields
    known = {"x2apic": True, "posted_intr_vector": P, "pi_wakeup_vector": W}
    vcpu = Vcpu(1, 0, hvm=True, pi=pi, **fields)
    found = audit(Snapshot("a machine", cpus=(on,), vcpus=(vcpu,), lists=LISTS, **known), the_rule(rule))
    assert all(finding.subject == "d1v0" for finding in found)
    return [(finding.severity, finding.message) for finding in found]


def test_d6_in_words():
    text = "runs with SN=1: what is posted waits in PIR and nobody is notified"
    assert said("D6", replace(PI, sn=1)) == [("bug", text + "; PIR holds vectors 0x31, 0x52")]
    doubt = " (a suspicion: its CPU may be switching to or from it)"
    assert said("D6", replace(PI, sn=1, pir=()), in_guest=False) == [("warning", text + doubt)]
    assert said("D6", replace(PI, sn=1), is_running=False) == said("D6") == []


def test_d7_in_words():
    text = "runs on CPU 0 (APIC 0x0), but NDST sends to APIC 0x5"
    assert said("D7", replace(PI, ndst=5)) == [("bug", text)]
    doubt = " (a suspicion: its CPU may be switching to it)"
    assert said("D7", replace(PI, ndst=5), in_guest=False) == [("warning", text + doubt)]


@pytest.mark.parametrize(
    "fields",
    [
        {"is_running": False},
        {"hooks": (BLOCK,)},
        {"cpu": None},
        {"cpu": 7},
        {"pi": replace(PI, ndst=MARKER)},
        {"pi": PI},
    ],
)
def test_d7_is_silent_where_it_cannot_be_told_or_does_not_matter(fields):
    assert said("D7", **{"pi": replace(PI, ndst=5)} | fields) == []


def test_d8_in_words():
    outstanding = replace(PI, on=1, pir=(0x31,))
    way = "(a suspicion: its message may be on its way{}"
    text = "is in the guest with ON=1 for vector 0x31, and no notification is pending at its CPU " + way
    assert said("D8", outstanding, Cpu(0, 0, irr=(), isr=())) == [("warning", text.format(")"))]
    unread = text.format(", and local APICs cannot be read here)")
    assert said("D8", outstanding) == said("D8", outstanding, cpu=None) == [("warning", unread)]
    assert "with ON=1, and no" in said("D8", replace(outstanding, pir=()))[0][1]
    assert said("D8", outstanding, Cpu(0, 0, irr=(), isr=(P,))) == []
    assert said("D8", outstanding, in_guest=False) == said("D8", outstanding, hooks=()) == []


def test_d31_in_words():
    nv, listed = "with NV 0xf2, the wakeup vector", "on CPU 3's blocking list"
    assert said("D31", replace(PI, nv=W)) == [("bug", f"is in the guest {nv}")]
    assert said("D31", blocking_list=3) == [("bug", f"is in the guest {listed}")]
    assert said("D31", replace(PI, nv=W), blocking_list=3) == [("bug", f"is in the guest {nv} and {listed}")]
    assert said("D31") == said("D31", blocking_list=3, in_guest=False) == []


def test_d26_in_words():
    text = "PIR and its virtual APIC's IRR or ISR both hold"
    assert said("D26", irr=(0x31, 0x40), isr=(0x52,)) == [("info", f"{text} vectors 0x31, 0x52")]
    assert said("D26", isr=(0x52,)) == [("info", f"{text} vector 0x52")]
    assert said("D26", irr=(0x30,), isr=()) == said("D26") == []
