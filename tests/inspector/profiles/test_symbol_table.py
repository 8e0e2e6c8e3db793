"""Xen's own compressed symbol table: written here as Xen's build writes it, and read from real images."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.profiles import store as profiles
from inspector.profiles import symbol_table
from inspector.targets.open_file import open_file
from inspector.xen.locate import locate

BASE = 0xFFFF82D040000000
IDENTIFIER = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=20)


def written(symbols: list[tuple[int, str]], tokens: list[bytes], align: int, fill: int = 0) -> bytes:
    """A table as tools/symbols.c writes it: names of one token a character, parts aligned to `align` bytes."""
    numbers = {token: number for number, token in enumerate(tokens)}

    def aligned(raw: bytes, to: int) -> bytes:
        return raw + bytes([fill]) * (-len(raw) % to)

    names, markers = b"", []
    for number, (_, name) in enumerate(symbols):
        if number % 256 == 0:
            markers.append(len(names))
        encoded = bytes(numbers[character.encode()] for character in name)
        names += bytes([len(encoded)]) + encoded
    table = b"".join(token + b"\0" for token in tokens)
    starts = [sum(len(token) + 1 for token in tokens[:number]) for number in range(256)]
    raw = b"".join(struct.pack("<I", offset) for offset, _ in symbols)
    raw = aligned(raw, align) + struct.pack("<I", len(symbols))
    raw = aligned(raw, align if align == 8 else 1) + names
    raw = aligned(raw, max(align, 4)) + struct.pack(f"<{len(markers)}I", *markers)
    raw = aligned(raw, align if align == 8 else 1) + table
    return aligned(raw, 8 if align == 8 else 2) + struct.pack("<256H", *starts)


TOKENS = [bytes([32 + number]) for number in range(95)] + [b"ab"] * 40 + [b""] * 121


@given(
    names=st.lists(IDENTIFIER, min_size=2, max_size=700, unique=True),
    step=st.integers(1, 4096),
    before=st.binary(max_size=64),
    # `.align 8` before each part, filled with zeros, up to 4.20; alignment as needed since, filled as its section is.
    form=st.sampled_from(((8, 0), (4, 0), (4, 0x90), (4, 0xFF))),
)
def test_what_the_build_writes_is_read_back(names, step, before, form):
    symbols = [(0x200000 + number * step, f"T{name}") for number, name in enumerate(names)]
    image = before + bytes(-len(before) % 8 + 512) + written(symbols, TOKENS, *form) + bytes(64)
    found = symbol_table.find(image, BASE)
    assert found is not None
    assert found.addresses == {name[1:]: BASE + offset for offset, name in symbols}
    assert not found.has_data


def test_a_local_name_that_stands_for_two_places_is_nobodys():
    symbols = [(0x200000, "ta.c#twice"), (0x200010, "tb.c#twice"), (0x200020, "Tonce"), (0x200030, "dc.c#kept")]
    found = symbol_table.find(bytes(512) + written(symbols, TOKENS, 4), BASE)
    assert found is not None
    assert sorted(found.addresses) == ["kept", "once"]
    assert found.has_data
    assert [symbol.file for symbol in found.symbols] == ["a.c", "b.c", "", "c.c"]


def test_a_function_ends_where_the_table_says_or_the_next_symbol_starts():
    symbols = [(0x200000, "Tfirst"), (0x200031, ""), (0x200040, "Tsecond"), (0x200080, "Dafter")]
    found = symbol_table.find(bytes(512) + written(symbols, TOKENS, 4), BASE)
    assert found is not None
    start = BASE + 0x200000
    assert found.function_at(start + 0x30) == symbol_table.Function("first", start, 0x31)
    assert found.function_at(start + 0x31) is None, "padding is nobody's"
    assert found.function_at(start + 0x7F) == symbol_table.Function("second", start + 0x40, 0x40)
    assert found.function_at(start + 0x80) is None, "data is no function"
    assert found.function_at(start - 1) is None
    assert found.function("first") == symbol_table.Function("first", start, 0x31)
    assert found.function("nobody") is None


@given(cut=st.integers(0, 4000), where=st.integers(0, 4000), noise=st.binary(min_size=1, max_size=8))
def test_a_damaged_table_gives_nothing_or_names_and_never_an_error(cut, where, noise):
    symbols = [(0x200000 + number * 16, f"Tname{number}") for number in range(300)]
    whole = bytes(512) + written(symbols, TOKENS, 4)
    symbol_table.find(whole[: len(whole) - cut], BASE)
    symbol_table.find(whole[:where] + noise + whole[where + len(noise) :], BASE)


@pytest.mark.parametrize("name", ["lost-wakeup", "linux-guest-hung", "xapic-4-cpus"])
def test_a_real_image_tells_every_symbol_that_its_xen_syms_does(golden, name):
    with open_file(golden(name)) as target:
        located = locate(target)
        assert located is not None
        profile = profiles.by_build_id(located.image.build_id)
        table = located.image.symbols
    assert table is not None
    assert table.has_data
    told = {symbol: profile.symbol(symbol) for symbol in profile.document["symbols"]}
    assert {symbol: table.addresses.get(symbol) for symbol in told} == told
    idle = table.function("default_idle")
    assert idle is not None
    assert idle.size > 0xC5, "hlt lies there"


@pytest.mark.live
@pytest.mark.parametrize("number", ["4.17", "4.20"])
def test_a_shipped_image_tells_what_its_symbol_table_on_disk_does(debian_xen, number):
    from elftools.elf.elffile import ELFFile

    from structs.xen.profile_contents import SYMBOLS

    with debian_xen(number).symbols.open("rb") as file:
        elf = ELFFile(file)
        segment = next(part for part in elf.iter_segments() if part["p_type"] == "PT_LOAD")
        table = symbol_table.find(segment.data(), segment["p_vaddr"] & ~((1 << 30) - 1))
        places: dict[str, set[int]] = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            places.setdefault(symbol.name, set()).add(symbol["st_value"])
    assert table is not None
    wanted = {name: places[name] for name in SYMBOLS if len(places.get(name, ())) == 1}
    assert len(wanted) > 80
    assert {name: {table.addresses.get(name)} for name in wanted} == wanted
