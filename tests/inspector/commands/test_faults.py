"""`faults`: fault status and records, on memory written by hand."""

from __future__ import annotations

import struct


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


def test_a_clear_unit_has_nothing_to_say(image, run):
    told = run("dump", image.path, "faults")
    assert told.status == 0
    assert "no fault is pending; " in told.out
    assert "REASON" not in told.out


def test_a_fault_of_dma_names_the_page_and_a_cleared_one_says_so(image, run):
    image.put(0xFED90220, struct.pack("<QQ", 0xABCDE000, 0x06 << 32 | 0x18))
    row = next(line for line in run("dump", image.path, "faults").out.splitlines() if "00:03.0" in line)
    assert "cleared" in row
    assert "page 0xabcde" in row
    record = run("dump", image.path, "faults", "--json").json["units"][0]["records"][0]
    assert (record["f"], record["index"]) == (0, None)


def test_a_reason_that_nobody_knows(image, run):
    image.put(0xFED90220, struct.pack("<QQ", 0, 1 << 63 | 0xEE << 32 | 0x18))
    assert "no reason known here" in run("dump", image.path, "faults").out


def test_of_a_log_is_what_xen_reported(run, data):
    (log,) = (data / "field/logs").glob("c15*")
    told = run("dump", log, "faults", "--json")
    assert told.status == 0
    assert told.json["units"] == []
    assert told.json["faults"]
    (quiet,) = (data / "field/logs").glob("c20*")
    assert "no VT-d fault and no other trouble is reported in the log" in run("dump", quiet, "faults").out
