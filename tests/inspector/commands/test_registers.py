"""regs, queue, faults, dmar and pi, on memory written by hand."""

from __future__ import annotations

import struct

import pytest


def test_registers_and_one_of_them(image, run):
    registers = run("dump", image.path, "regs", "--json").json["units"][0]["registers"]
    assert (registers["cap"]["pi"], registers["cap"]["fro"], registers["gsts"]["ires"]) == (1, 0x22, 1)
    assert registers["irta"] == {"value": 0x40000F, "s": 15, "eime": 0, "irta": 0x400000}
    answer = run("dump", image.path, "regs", "irta")
    assert "offset 0xb8 is 0x40000f" in answer.out
    assert run("dump", image.path, "regs", "nope").status == 2


def test_a_window_without_registers_is_said(image, run):
    image.put(0xFED90000, b"\xff" * 256)
    answer = run("dump", image.path, "regs")
    assert answer.status == 3
    assert "no VT-d registers at 0xfed90000 (version register reads 0xffffffff)" in answer.err


def test_the_queue_tells_done_from_pending(image, run):
    image.descriptor(254, 0x14 | 7 << 32)
    image.descriptor(255, 0x25 | 1 << 32, 0x5000)
    image.descriptor(0, 0x14 | 3 << 27 | 8 << 32)
    image.descriptor(1, 0xE0F)
    image.register(0x80, 0 << 4)
    image.register(0x88, 2 << 4)
    queue = run("dump", image.path, "queue", "--json").json["units"][0]
    assert (queue["head"], queue["tail"], queue["slots"]) == (0, 2, 256)
    assert [(d["slot"], d["state"], d["kind"]) for d in queue["descriptors"]] == [
        (254, "done", "interrupt entry cache"),
        (255, "done", "wait"),
        (0, "pending", "interrupt entry cache"),
        (1, "pending", "unknown"),
    ]
    assert queue["descriptors"][1]["status_address"] == 0x5000
    assert (queue["descriptors"][2]["im"], queue["descriptors"][2]["iidx"]) == (3, 8)
    assert "2 pending" in run("dump", image.path, "queue").out


@pytest.mark.parametrize(
    ("offset", "value", "size", "message"),
    [
        (0x1C, 0x43000000, 4, "queued invalidation is not enabled"),
        (0x80, 0x7FFF0, 8, "IQH is at slot 32767, beyond the queue's 256"),
        (0x90, 0xF_0000_0000_0000, 8, "is not in readable memory"),
    ],
)
def test_a_queue_that_makes_no_sense(image, run, offset, value, size, message):
    image.register(offset, value, size)
    answer = run("dump", image.path, "queue")
    assert answer.status == 3
    assert message in answer.err


def test_a_fault_names_reason_source_and_index(image, run):
    image.register(0x34, 0x2, 4)
    image.put(0xFED90220, struct.pack("<QQ", 0x001E << 48, 1 << 63 | 0x24 << 32 | 0x18))
    faults = run("dump", image.path, "faults", "--json").json["units"][0]
    assert faults["fsts"]["ppf"] == 1
    (record,) = faults["records"]
    assert (record["f"], record["fr"], record["sid"], record["index"]) == (1, 0x24, 0x18, 0x1E)
    answer = run("dump", image.path, "faults").out
    assert "00:03.0" in answer
    assert "index 0x1e" in answer
    assert "recorded" in answer


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


def test_dmar(image, run):
    table = run("dump", image.path, "dmar", "--json").json
    assert (table["signature"], table["host_address_width"], table["checksum_ok"]) == ("DMAR", 39, True)
    (unit,) = table["structures"]
    assert (unit["name"], unit["base"], [scope["type"] for scope in unit["scopes"]]) == ("DRHD", 0xFED90000, [3, 4])
    text = run("dump", image.path, "dmar").out
    assert "IOAPIC 0 f0:1f.0" in text
    assert "include_pci_all" in text


def test_dumps_have_no_ioapic_registers(image, run):
    answer = run("dump", image.path, "ioapic")
    assert answer.status == 3
    assert "IO-APIC registers are not part of memory" in answer.err
