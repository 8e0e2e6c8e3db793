"""A kernel's own table of symbols."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.kernels.paging import PageTables
from inspector.linux import kallsyms
from inspector.linux.image import Image
from inspector.linux.kallsyms import Kallsyms, KallsymsError, Places
from tests.inspector.linux.made_linux import OF_6_1, OF_6_12, OF_7_3, RODATA, ROOT, TEXT, TOKENS, MadeLinux, packed

FORMS = pytest.mark.parametrize("form", [OF_6_1, OF_6_12, OF_7_3], ids=["6.1", "6.12", "7.3"])


def tables(made: MadeLinux) -> PageTables:
    return PageTables(made.target(), ROOT)


@FORMS
def test_every_form_is_found_by_what_it_looks_like(form):
    made = MadeLinux(form)
    if not form.percpu_absolute:
        made.symbols = {name: at for name, at in made.symbols.items() if at >= TEXT}
    memory = tables(made)
    start, raw = next(Image(memory).read_only())
    places = kallsyms.by_structure(raw, start, TEXT)
    assert places
    assert (places.names, places.tokens) == (made.symbols["kallsyms_names"], made.symbols["kallsyms_token_table"])
    assert places.offsets == made.symbols["kallsyms_offsets"]
    assert places.relative_base == made.symbols.get("kallsyms_relative_base")
    found = kallsyms.read(memory, places)
    wanted = {name: at for name, at in made.symbols.items() if not name.startswith("kallsyms_")}
    assert found.find(wanted) == wanted
    assert found.find(["long_" + "x" * 200, "irq_desc"]) == {"long_" + "x" * 200: TEXT + 0x1F000}
    assert found.at(TEXT + 0x2013) == ("filler_1", 3)
    assert found.at(1) is None


@FORMS
def test_vmcoreinfo_names_the_same_tables(form):
    made = MadeLinux(form)
    memory = tables(made)
    told = {name: at for name, at in made.symbols.items() if name.startswith("kallsyms_")}
    places = kallsyms.by_symbols(memory, told)
    names, tokens, offsets = (told[f"kallsyms_{name}"] for name in ("names", "token_table", "offsets"))
    assert places == Places(places.count, names, tokens, offsets, told.get("kallsyms_relative_base"))
    del told["kallsyms_token_table"]
    with pytest.raises(KallsymsError, match="does not tell where 'kallsyms_token_table' is"):
        kallsyms.by_symbols(memory, told)


def test_what_only_resembles_the_tables_is_none():
    assert kallsyms.by_structure(kallsyms.DIGITS * 3, RODATA, TEXT) is None
    every = b"".join(token + b"\0" for token in TOKENS)
    assert kallsyms.by_structure(bytes(64) + every, RODATA, TEXT) is None
    index = np.cumsum([0, *(len(token) + 1 for token in TOKENS[:-1])]).astype("<u2").tobytes()
    assert kallsyms.by_structure(bytes(64) + every + bytes(3) + index + bytes(512), RODATA, TEXT) is None


@given(st.integers(0, 1 << 20), st.integers(0, 0x200000 - 1), st.integers(1, 255))
@settings(max_examples=60)
def test_damage_ends_in_an_error_or_in_symbols_and_never_hangs(count, at, value):
    made = DAMAGED
    raw = bytearray(RAW)
    raw[at] ^= value
    places = kallsyms.by_structure(bytes(raw), RODATA, TEXT)
    assert places is None or places.count <= kallsyms.SYMBOLS_LIMIT
    names = bytes(raw[made.symbols["kallsyms_names"] - RODATA :][:20000])
    try:
        found = Kallsyms(names, TOKENS, np.arange(count % 900 + 1, dtype=np.uint64))
    except KallsymsError:
        return
    assert len(found.name(0)) >= 0


DAMAGED = MadeLinux()
RAW = DAMAGED.target().read(DAMAGED.at(RODATA), 0x200000)


def test_names_that_are_not_there_are_told():
    names = packed("irq_desc") + packed("kallsyms__x")
    assert Kallsyms(names, TOKENS, np.array([8, 16], "<u8")).find(["kallsyms__x"]) == {"kallsyms__x": 16}
    with pytest.raises(KallsymsError, match="2 of its 3 names are there"):
        Kallsyms(names, TOKENS, np.array([8, 16, 24], "<u8"))
