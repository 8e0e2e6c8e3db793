"""irt and irte, on a table written by hand."""

from __future__ import annotations

import pytest

IOAPIC = 0x4F0F8  # SVT 1, SQ 0, SID f0:1f.0
DEVICE = 0x40018  # SVT 1, SQ 0, SID 00:03.0


@pytest.fixture
def table(image):
    image.entry(2, 0x00000300_00420011, IOAPIC)  # level, vector 42, APIC 3
    image.entry(7, 0x00000200_0031000D, DEVICE)  # logical, redirection hint, vector 31
    image.entry(8, 0xC0000000_0052C001, 0x1_00040018)  # posted, urgent, vector 52, PDA 1c0000000
    image.entry(9, 0, 0x1)  # not present, not zero
    image.entry(65535, 0x00000000_0099F021, 0x000B0205)  # last entry: AVAIL, reserved 14:12 and IM; SVT 2
    return image


def test_entries_are_decoded_to_the_bit(table, run):
    unit = run("dump", table.path, "irt", "--json").json["units"][0]
    assert unit["irta"] == 0x40000F
    assert (unit["base"], unit["size"], unit["eime"], unit["register_base"]) == (0x400000, 65536, 0, 0xFED90000)
    first, second, third, last = unit["entries"]
    assert first["index"] == 2
    assert (first["format"], first["vector"], first["tm"], first["dst"]) == ("remapped", 0x42, 1, 0x300)
    assert first["source"] == {"kind": "ioapic", "ioapic_id": 0}
    assert (second["dm"], second["rh"], second["vector"], second["dst"]) == (1, 1, 0x31, 0x200)
    assert second["source"] == {"kind": "device", "segment": 0, "bdf": "00:03.0"}
    assert (third["format"], third["urg"], third["vector"], third["pda"]) == ("posted", 1, 0x52, 0x1_C000_0000)
    assert (last["index"], last["svt"], last["sid"]) == (65535, 2, 0x205)


@pytest.mark.thorough
def test_reserved_bits_and_stale_entries_are_reported(table, run):
    answer = run("dump", table.path, "irt", "--unit", "0")
    assert answer.status == 0
    assert "rsvd_13_12=0x3!" in answer.out
    assert "1 entries are not present (P=0) and yet not zero" in answer.err
    assert [
        row["index"] for row in run("dump", table.path, "irt", "--all", "--json").json["units"][0]["entries"]
    ] == list(range(65536))


def test_filters(table, run):
    def indices(*words):
        return [row["index"] for row in run("dump", table.path, "irt", *words, "--json").json["units"][0]["entries"]]

    assert indices("--posted") == [8, 65535]
    assert indices("--device", "00:03.0") == [7, 8]
    assert indices("--device", "03:1f.7") == [65535]
    assert indices("--device", "06:00.0") == []


def test_one_entry_field_by_field(table, run):
    answer = run("dump", table.path, "irte", "8")
    assert answer.status == 0
    assert "entry 0x8 at 0x400080, posted" in answer.out
    assert "127:96 63:38" in answer.out
    assert "0x1c0000000" in answer.out
    assert run("dump", table.path, "irte", "8", "--json").json["units"][0]["entry"]["pda"] == 0x1_C000_0000


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["irte", "65536"], 2, "there is no index 0x10000"),
        (["irte", "x"], 2, "expected one such as 24"),
        (["irt", "--unit", "1"], 2, "no unit 1; there are 0"),
        (["irt", "--device", "3.0"], 2, "expected bus:device.function"),
        (["nothing"], 2, "no command 'nothing'"),
    ],
)
def test_wrong_words(table, run, words, status, message):
    answer = run("dump", table.path, *words)
    assert answer.status == status
    assert message in answer.err


def test_a_table_that_is_nowhere(table, run):
    table.register(0xB8, 0xF_0000_0000_000F)
    answer = run("dump", table.path, "irt")
    assert (answer.status, answer.out) == (3, "")
    assert "table of 1048576 bytes at 0xf000000000000 (IRTA) is not in readable memory" in answer.err
    assert answer.err.count("vtdpi:") == 1


def test_a_table_that_is_only_partly_in_memory(table, run):
    end = 0xFED91000
    table.register(0xB8, (end - 0x1000) | 0xF)
    answer = run("dump", table.path, "irt", "--json")
    assert answer.status == 3
    assert f"{(1 << 20) - 0x1000} bytes of the table at 0xfed90000 cannot be read" in answer.err
    assert answer.json["units"][0]["entries"] is not None


def test_no_table_at_all(table, run):
    table.register(0xB8, 0)
    answer = run("dump", table.path, "irt")
    assert answer.status == 3
    assert "has no interrupt-remapping table: IRTA is 0x0" in answer.err


def test_extended_mode_reads_the_whole_destination(table, run):
    table.register(0xB8, 0x400000 | 1 << 11 | 0xF)
    assert "APIC 0x300" in run("dump", table.path, "irt").out
    table.register(0xB8, 0x400000 | 0xF)
    assert "APIC 0x3 " in run("dump", table.path, "irt").out
