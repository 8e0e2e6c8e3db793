"""The command `cpus`."""

from __future__ import annotations

import pytest

from inspector.commands.cpus import softirqs
from inspector.model.snapshot import Snapshot


def test_what_each_cpu_does_and_how_it_came_there(golden, run):
    answer = run("dump", golden("blocking-in-progress"), "cpus", "1")
    assert "_spin_unlock_irqrestore+0x30" in answer.out
    assert "vmx_vcpu_block+0x75" in answer.out
    assert "may be in the middle of changing" in answer.out
    assert "ring 0" in answer.out


def test_the_document_has_it_too(golden, run):
    (first, *_, last) = run("dump", golden("xapic-4-cpus"), "cpus", "--json").json["cpus"]
    assert (first["mode"], first["function"], first["softirqs"]) == ("idle", "default_idle+0xc7", [])
    assert (last["mode"], last["current"], last["between_steps"]) == ("guest", "d1v0", None)
    assert first["registers"]["rip"] >> 30 == 0xFFFF82D040000000 >> 30


def test_a_cpu_that_is_not_there(golden, run):
    answer = run("dump", golden("lost-wakeup"), "cpus", "7")
    assert answer.status == 2
    assert "there is no CPU 7; those that were found: 0, 1" in answer.err


def test_softirqs_have_names_where_their_order_is_known():
    assert softirqs(Snapshot("x", version="4.20.4"), 0b1001_0001_0001) == [
        "timer",
        "new_tlbflush_clock_period",
        "vcpu_kick",
        "11",
    ]
    assert softirqs(Snapshot("x", version="4.12.1"), 0b101) == ["0", "2"]
    assert softirqs(Snapshot("x"), None) is None


@pytest.mark.parametrize("words", [("cpus",), ("cpus", "0"), ("cpus", "--json")])
def test_a_log_tells_of_no_cpu(run, data, words):
    told = run("dump", data / "field/logs/p_crlf.log", *words)
    assert (told.status, told.err.count("\n")) == (3, 1)
    assert "tells of no CPUs: no debug key prints them" in told.err
    if "--json" in words:
        assert "tells of no CPUs" in told.json["error"]["message"]
    else:
        assert told.out == ""
