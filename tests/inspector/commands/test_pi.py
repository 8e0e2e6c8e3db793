"""`pi`: one descriptor, and what a post to it does now."""

from __future__ import annotations

import struct

import pytest

from inspector.targets.open_file import open_file


def test_a_descriptor(image, run):
    image.put(0x1000, bytes(10) + b"\x04" + bytes(21) + bytes([2, 0, 0xF2, 0]) + struct.pack("<I", 0x300) + bytes(24))
    answer = run("dump", image.path, "pi", "0x1000", "--json").json
    assert answer["pir"] == [0x52]
    assert (answer["on"], answer["sn"], answer["nv"], answer["ndst"], answer["apic_id"]) == (0, 1, 0xF2, 0x300, 3)
    text = run("dump", image.path, "pi", "4096").out
    assert "SN suppresses the notification" in text
    assert "Reserved bits" not in text
    image.put(0x1000 + 36, struct.pack("<I", 0x3))
    assert "fault 0x28" in run("dump", image.path, "pi", "4096").out
    assert "must be a multiple of 64" in run("dump", image.path, "pi", "0x1001").err
    assert run("dump", image.path, "pi", "0x7ffffffff000").status == 3


@pytest.mark.parametrize(
    ("capture", "vcpu", "says"),
    [
        ("two-in-guest", "d1v0", ["sends vector 0xf2 to APIC 0x0, CPU 0", "takes the vector in at once"]),
        ("two-in-guest", "d1v1", ["sends vector 0xf3", "finds d1v1 with ON=1, takes it off and wakes it"]),
        ("two-in-guest", "d1v3", ["ON=1 says that a notification is on its way"]),
        ("woken-still-listed", "d1v1", ["SN suppresses the notification"]),
        ("post-in-progress-or-stranded", "d1v0", ["CPU 0 is in Xen: a softirq makes it look at PIR"]),
    ],
)
def test_what_a_post_does_now(run, golden, capture, vcpu, says):
    answer = run("dump", golden(capture), "pi", vcpu)
    assert answer.status == 0
    for words in says:
        assert words in answer.out


def test_pi_by_address_names_the_vcpu(run, golden):
    document = run("dump", golden("lost-wakeup"), "pi", "0x27bdb680", "--bytes", "--json").json
    assert (document["vcpu"], document["pir"], document["situation"]) == ("d1v2", [0x52], "S8")
    assert bytes.fromhex(document["bytes"])[10] == 4
    assert "neither a vCPU" in run("dump", golden("lost-wakeup"), "pi", "nobody").err


def test_the_bytes_are_the_memory_and_say_which_field_is_where(run, golden):
    path = golden("lost-wakeup")
    document = run("dump", path, "pi", "d1v2", "--bytes", "--json").json
    with open_file(path) as target:
        assert bytes.fromhex(document["bytes"]) == target.read(document["address"], 64)
    rows = run("dump", path, "pi", "d1v2", "--bytes").out.splitlines()
    (last,) = (row for row in rows if row.strip().startswith("0x20 "))
    assert all(name in last for name in ("on", "sn", "nv", "ndst"))


def test_by_name_and_by_address_is_the_same(run, golden):
    named = run("dump", golden("lost-wakeup"), "pi", "d1v2", "--json").json
    assert run("dump", golden("lost-wakeup"), "pi", hex(named["address"]), "--json").json == named


@pytest.mark.parametrize(
    ("which", "status", "said"),
    [
        ("d0v0", 2, "d0v0 has no posted-interrupt descriptor: it is paravirtualised"),
        ("d9v9", 2, "there is no vCPU d9v9"),
        ("0x27bdb681", 2, "is no descriptor's address: it must be a multiple of 64"),
        ("0x7fffffffffc0", 3, "tells of no descriptor at 0x7fffffffffc0"),
    ],
)
def test_what_is_no_descriptor(run, golden, which, status, said):
    told = run("dump", golden("lost-wakeup"), "pi", which)
    assert (told.status, told.out) == (status, "")
    assert said in told.err
    assert told.err.count("\n") == 1
