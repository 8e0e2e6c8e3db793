"""What the stub answers, packet by packet, without a socket. With one: test_gdb_server.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.debug.gdb_packets import BAD, FAULT, LONGEST_READ, REFUSED
from sim_backend.debug.gdb_stub import Stub
from sim_backend.layout.interrupts import DEVICE_STATE
from sim_backend.memory.memory import PAGE


@pytest.fixture
def stub(machine):
    return Stub(machine)


def ask(stub, packet):
    """The answer, and what was sent before it."""
    sent = []
    return stub.answer(packet, sent.append), sent


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        ("m", BAD),
        ("m10", BAD),
        ("mzz,4", BAD),
        ("m0,4", FAULT),
        ("p", BAD),
        ("pffff", BAD),
        ("M0,4:00", BAD),
        ("M0,1:xx", BAD),
        ("Z0,", BAD),
        ("Z3,10,4", ""),
        ("Z9", BAD),
        ("Hgzz", BAD),
        ("Hg63", BAD),
        ("Hg0", "OK"),
        ("Hc-1", "OK"),
        ("T3", REFUSED),
        ("T2", "OK"),
        ("T", REFUSED),
        ("G00", REFUSED),
        ("P0=0", REFUSED),
        ("X0,0:", ""),
        ("", ""),
        ("vMustReplyEmpty", ""),
        ("qUnknown", ""),
        ("Qqemu.PhyMemMode:2", ""),
        ("qXfer:features:read:other.xml:0,10", "E00"),
        ("qXfer:features:read:target.xml:zz,10", BAD),
        ("qThreadExtraInfo,9", BAD),
        ("qRcmd,6", BAD),
        ("qfThreadInfo", "m01,02"),
        ("qsThreadInfo", "l"),
        ("qC", "QC01"),
        ("?", "T05thread:01;"),
    ],
)
def test_packets(stub, packet, answer):
    assert ask(stub, packet) == (answer, [])


@given(
    st.text(st.characters(max_codepoint=0xFF), max_size=24),
    st.sampled_from(["", "m", "M", "Z2,", "H", "q", "vCont;", "p"]),
)
def test_no_packet_is_too_much(resting, rest, start):
    stub = Stub(resting)
    assert isinstance(stub.answer(start + rest, lambda part: None), str)
    assert stub.resume(start + rest) in (None, True, False)


@pytest.mark.parametrize(
    ("packet", "wanted"),
    [
        ("c", False),
        ("s", True),
        ("C05", False),
        ("S05", True),
        ("vCont;c", False),
        ("vCont;s:2;c", True),
        ("vCont;s:zz", None),
        ("vCont;t", None),
        ("vCont?", None),
        ("cc", None),
        ("m0,4", None),
    ],
)
def test_what_resumes(stub, packet, wanted):
    assert stub.resume(packet) is wanted


def test_a_step_is_of_the_thread_that_it_names(stub):
    stub.resume("vCont;s:2;c")
    assert ask(stub, "qC")[0] == "QC02"


def test_what_comes_before_a_hole_is_read_and_nothing_of_a_hole(stub, machine):
    ask(stub, "Qqemu.PhyMemMode:1")
    end = machine.layout.memory.size
    assert len(ask(stub, f"m{end - 16:x},40")[0]) == 2 * 16
    assert ask(stub, f"m{end:x},4")[0] == FAULT
    assert ask(stub, f"m{DEVICE_STATE:x},4")[0] == FAULT


def test_one_read_is_not_longer_than_a_packet(stub):
    ask(stub, "Qqemu.PhyMemMode:1")
    assert len(ask(stub, "m1000,fffffff")[0]) == 2 * LONGEST_READ


def test_a_write_that_does_not_fit_changes_nothing(stub, machine):
    ask(stub, "Qqemu.PhyMemMode:1")
    end = machine.layout.memory.size
    before = machine.layout.memory.read(end - 8, 8)
    assert ask(stub, f"M{end - 8:x},10:{'5a' * 16}")[0] in (BAD, FAULT)
    assert machine.layout.memory.read(end - 8, 8) == before


def test_a_write_across_pages(stub, machine):
    ask(stub, "Qqemu.PhyMemMode:1")
    assert ask(stub, f"M{PAGE - 2:x},4:01020304")[0] == "OK"
    assert machine.layout.memory.read(PAGE - 2, 4) == b"\1\2\3\4"


def test_a_new_connection_forgets_points_and_thread_but_not_the_mode(stub, machine):
    for packet in ("Qqemu.PhyMemMode:1", "Hg2", "Z2,1000,8"):
        assert ask(stub, packet)[0] == "OK"
    assert stub.attached(True)
    assert ask(stub, "qqemu.PhyMemMode")[0] == "1"
    assert ask(stub, "qC")[0] == "QC01"
    assert stub.run(50) == (None, True)


def test_a_watchpoint_is_of_the_bytes_that_it_names(stub, machine):
    """Of a descriptor's ON, and not of the bytes beside it."""
    other = Stub(machine.copy())
    pi = machine.layout.pi_desc(1, 0)
    for each, offset in ((stub, 0), (other, 64 - 8)):
        ask(each, "Qqemu.PhyMemMode:1")
        assert ask(each, f"Z2,{pi + offset:x},{8 if offset else 64:x}")[0] == "OK"
    hit, more = stub.run(20_000)
    assert more
    assert f"watch:{pi:x}"[:-2] in hit
    assert other.run(machine.steps) == (None, True)
    assert ask(stub, f"z2,{pi:x},40")[0] == "OK"
    assert stub.run(200) == (None, True)


def test_who_observed_the_memory_still_does(stub, machine):
    seen = []
    machine.layout.memory.observer = watcher = lambda *store: seen.append(store)
    ask(stub, "Qqemu.PhyMemMode:1")
    ask(stub, f"Z2,{machine.layout.pi_desc(1, 0):x},40")
    stub.run(20_000)
    assert machine.layout.memory.observer is watcher
    assert seen


def test_a_machine_at_rest_takes_no_step(resting):
    stub = Stub(resting)
    assert stub.run(10) == (None, False)
    assert stub.step() == "T05thread:01;"


def test_long_answers_of_the_monitor_come_in_pieces(stub):
    answer, sent = ask(stub, "qRcmd," + b"help".hex())
    assert answer == "OK"
    assert all(part.startswith("O") for part in sent)
    answer, sent = ask(stub, "qRcmd," + b"info lapic".hex())
    assert answer == "OK"
    assert bytes.fromhex("".join(part[1:] for part in sent)).decode().isprintable() is False
