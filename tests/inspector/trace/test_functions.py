"""Functions by address: the nearest below, and not too far."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.trace.functions import LONGEST, Functions

TEXT = 0xFFFF82D040200000
SYMBOLS = {
    "_start": TEXT - 0x1000,
    "_stext": TEXT,
    "_etext": TEXT + 0x10000,
    "first": TEXT + 0x100,
    "second": TEXT + 0x200,
    "same_as_second": TEXT + 0x200,
    "far": TEXT + 0x9000,
    "data": TEXT + 0x20000,
}


def functions(symbols=SYMBOLS):
    """Of a profile with these symbols."""
    profile = SimpleNamespace(
        symbol=symbols.__getitem__,
        has_symbol=symbols.__contains__,
        document={"symbols": {name: {"address": address} for name, address in symbols.items()}},
    )
    return Functions(profile)


def test_only_functions_and_in_their_order():
    assert functions().names == ["first", "same_as_second", "second", "far"]
    assert functions()["far"] == SYMBOLS["far"]
    for name in ("data", "_etext", "nothing"):
        with pytest.raises(KeyError):
            functions()[name]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (TEXT + 0x100, "first"),
        (TEXT + 0x1FF, "first+0xff"),
        (TEXT + 0x200, "second"),
        (TEXT + 0x9000 + LONGEST - 1, f"far+{LONGEST - 1:#x}"),
        (TEXT + 0x9000 + LONGEST, f"{TEXT + 0x9000 + LONGEST:#x}"),
        (TEXT + 0x50, f"{TEXT + 0x50:#x}"),
        (0, "0x0"),
    ],
)
def test_an_address(address, name):
    assert functions().at(address) == name


@given(st.integers(TEXT - 0x2000, TEXT + 0x22000))
def test_a_name_leads_back_to_the_address(address):
    known = functions()
    name, _, offset = known.at(address).partition("+")
    start = known[name] if name in known.names else int(name, 16)
    assert start + int(offset or "0", 16) == address


def test_a_profile_that_names_no_end_of_the_text_has_none():
    assert functions({"vmx_vcpu_block": TEXT}).names == []
    assert functions({"vmx_vcpu_block": TEXT}).at(TEXT) == f"{TEXT:#x}"
