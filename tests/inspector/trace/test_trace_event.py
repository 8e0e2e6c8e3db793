"""A transition in words and as JSON."""

from __future__ import annotations

import pytest

from inspector.trace.trace_event import HOOK, WRITE, TraceEvent, document


@pytest.mark.parametrize(
    ("cpu", "actor", "where"), [(1, None, "CPU 1"), (None, None, "device"), (None, "hypervisor", "hypervisor")]
)
def test_who_did_it(cpu, actor, where):
    assert TraceEvent(0, WRITE, cpu, None, "d1v0", actor=actor).where == where


def test_changes_are_told_in_the_words_of_the_specification():
    changes = {"pir": ((), (0x31, 0x52)), "sn": (0, 1), "nv": (0xF2, 0xF3), "blocking_list": (None, 2)}
    hit = TraceEvent(0, WRITE, 0, None, "d1v0", changes)
    assert hit.words() == "pir none -> 0x31 0x52, sn 0 -> 1, nv 0xf2 -> 0xf3, blocking_list none -> 2"


def test_a_domains_hooks_are_told_by_their_functions():
    changes = {"pi_ops.flags": (3, 2), "pi_ops.vcpu_block": ("vmx_vcpu_block", None)}
    hit = TraceEvent(0, WRITE, 0, "vmx_pi_hooks_deassign", None, changes, domain="d1")
    assert (hit.whose, hit.words()) == ("d1", "pi_ops.flags 3 -> 2, pi_ops.vcpu_block vmx_vcpu_block -> none")
    told = document(hit)
    assert (told["vcpu"], told["domain"]) == (None, "d1")
    assert told["changes"]["pi_ops.vcpu_block"] == {"before": "vmx_vcpu_block", "after": None}


def test_line_and_situation_stand_in_the_document_only_where_they_are_known():
    hit = TraceEvent(3, HOOK, 0, "vcpu_wake", "d1v0", {"pir": ((), (0x31,))})
    changes = {"pir": {"before": [], "after": [0x31]}}
    known = {"time": 3, "kind": HOOK, "cpu": 0, "function": "vcpu_wake", "vcpu": "d1v0", "changes": changes}
    assert document(hit) == known
    told = TraceEvent(3, HOOK, 0, "vcpu_wake", "d1v0", hit.changes, line="vmx.c:152", situation="S8")
    assert document(told) == {**known, "line": "vmx.c:152", "situation": "S8"}
