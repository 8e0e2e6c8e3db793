"""Records for a reader: every bit is shown, and reserved ones only where they are wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.commands.record_fields import bits, number, set_fields, table
from structs.irte import POSTED
from structs.registers import GSTS

FIELDS = {field.name: field for field in POSTED.fields}


def test_where_bits_are_is_written_as_the_specification_does() -> None:
    assert bits(FIELDS["p"]) == "0"
    assert bits(FIELDS["vector"]) == "23:16"
    # The descriptor's address is in two pieces, the high one first.
    assert bits(FIELDS["pda"]) == "127:96 63:38"


def test_a_single_digit_is_plain_and_more_are_hex() -> None:
    assert [number(value) for value in (0, 9, 10, 255)] == ["0", "9", "0xa", "0xff"]


def test_reserved_bits_are_shown_if_they_are_set() -> None:
    sound = POSTED.parse(POSTED.build({"p": 1, "im": 1, "vector": 0x31}))
    names = [row[1] for row in table(POSTED, sound).rows]
    assert not any(name.startswith("rsvd") for name in names)
    assert names[-1] == "p"
    wrong = POSTED.parse(POSTED.build({"p": 1, "im": 1, "rsvd_7_2": 5}))
    (row,) = [row for row in table(POSTED, wrong).rows if row[1] == "rsvd_7_2"]
    assert row[0] == "7:2"
    assert row[3] == "RESERVED, but not zero"
    assert "rsvd_7_2=5!" in set_fields(POSTED, wrong).split()


@given(st.binary(min_size=4, max_size=4))
def test_what_is_set_is_all_that_is_not_zero(raw: bytes) -> None:
    values = GSTS.parse(raw)
    shown = {word.rstrip("!").partition("=")[0] for word in set_fields(GSTS, values).split()}
    assert shown == {field.name for field in GSTS.fields if values[field.name]}
    rows = {row[1] for row in table(GSTS, values).rows}
    assert rows == {field.name for field in GSTS.fields if not field.reserved or values[field.name]}


def test_nothing_set_is_an_empty_line() -> None:
    assert set_fields(GSTS, GSTS.parse(bytes(4))) == ""
