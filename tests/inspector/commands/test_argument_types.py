from __future__ import annotations

import pytest

from inspector.base.arguments import BadWord
from inspector.commands.argument_types import read_bdf, read_domain, read_entry


@pytest.mark.parametrize(
    ("word", "sid", "segment"),
    [
        ("00:1f.7", 0x00FF, None),
        ("0000:00:1f.7", 0x00FF, 0),
        ("1:3:0.0", 0x0300, 1),
        ("ABCD:fe:10.1", 0xFE81, 0xABCD),
    ],
)
def test_a_device_keeps_its_segment(word: str, sid: int, segment: int | None) -> None:
    device = read_bdf(word)
    assert (device, device.segment) == (sid, segment)
    assert [device.is_on(one) for one in (0, 1, 0xABCD)] == [segment in (None, one) for one in (0, 1, 0xABCD)]


@pytest.mark.parametrize("word", ["", "00:20.0", "00:1f.8", "12345:00:1f.0", "00:1f", ":00:1f.0", "0:0:0:0.0"])
def test_what_is_no_device_is_refused(word: str) -> None:
    with pytest.raises(BadWord, match="is no device"):
        read_bdf(word)


def test_what_is_printed_can_be_typed():
    assert (read_entry("0x18"), read_entry("0x18").unit) == (0x18, None)
    assert (read_entry("1:0x18"), read_entry("1:0x18").unit) == (0x18, 1)
    assert read_domain("d12") == read_domain("12") == 12


@pytest.mark.parametrize("word", ["1:2:3", ":", "d", "0018"])
def test_what_is_no_entry(word):
    with pytest.raises(BadWord):
        read_entry(word)
