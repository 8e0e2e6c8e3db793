"""`irte`: one entry, bit by bit, on memory written by hand."""

from __future__ import annotations

import pytest

from structs.irte import POSTED, REMAPPED


def halves(raw):
    return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (REMAPPED, {"p": 1, "vector": 0x62, "dst": 0x300, "svt": 1, "sid": 0x18}),
        (POSTED, {"p": 1, "im": 1, "vector": 0x31, "pda": 0x27BDB680, "svt": 1, "sid": 0x18, "urg": 1}),
    ],
    ids=["remapped", "posted"],
)
def test_every_field_that_is_set(image, run, record, fields):
    image.entry(0x18, *halves(record.build(fields)))
    unit = run("dump", image.path, "irte", "0x18", "--json").json["units"][0]
    assert unit["address"] == 0x400000 + 0x18 * 16
    assert {name: unit["entry"][name] for name in fields} == fields
    assert unit["entry"]["format"] == record.title
    text = run("dump", image.path, "irte", "0x18").out
    assert f"unit 0 entry 0x18 at {unit['address']:#x}, {record.title}" in text
    assert "may be used by 00:03.0" in text
    for name, value in fields.items():
        assert any(name in line.lower().split() and f"{value:x}" in line for line in text.splitlines()), name


def test_one_that_is_not_present_says_what_happens(image, run):
    told = run("dump", image.path, "irte", "7")
    assert told.status == 0
    assert "not present (P=0): an interrupt that selects it is a fault (0x22)" in told.out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("0x10000",), 2, "unit 0's table has 65536 entries; there is no index 0x10000"),
        (("x",), 2, "x"),
        (("1", "--unit", "3"), 2, "no unit 3; there are 0"),
        ((), 2, "required"),
    ],
)
def test_what_is_no_entry(image, run, words, status, said):
    told = run("dump", image.path, "irte", *words)
    assert (told.status, told.out) == (status, "")
    assert said in told.err


def test_the_same_as_among_all(run):
    at = ("sim", "--scenario", "one-device")
    rows = run(*at, "irt", "--json").json["units"][0]["entries"]
    assert {row["format"] for row in rows[::7] + rows[-1:]} == {"remapped", "posted"}
    for row in rows[::7] + rows[-1:]:
        (unit,) = run(*at, "irte", row["index"], "--json").json["units"]
        assert unit["entry"] == row


def test_a_row_that_a_log_has_not(run, data):
    (log,) = (data / "field/logs").glob("c03*")
    told = run("dump", log, "irte", "0x1fff", "--unit", "9")
    assert "key V prints present entries only" in told.out


def test_where_a_table_of_a_log_is_nobody_knows(run, data):
    log = data / "field/logs/p_crlf.log"
    told = run("dump", log, "irte", "0x18")
    assert told.out.startswith("unit 0 entry 0x18, remapped\n")
    assert run("dump", log, "irte", "0x18", "--json").json["units"][0]["address"] is None
