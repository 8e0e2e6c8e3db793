"""kallsyms that is written is found and read by the inspector's own reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.linux import kallsyms
from sim_backend.layout.kvm.builder import TEXT
from sim_backend.layout.kvm.kallsyms import tables

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_.]{0,140}", fullmatch=True)
FILL = {f"filler_{number}": TEXT + 16 * number for number in range(300)}
START = TEXT + (16 << 20)


class Bytes:
    """Memory that begins at START."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw + bytes(1 << 15)

    def read(self, address: int, size: int) -> bytes:
        return self.raw[address - START : address - START + size]


@given(st.dictionaries(NAMES, st.integers(0, (1 << 31) - 1) | st.integers(TEXT, TEXT + (1 << 29)), max_size=40))
def test_it_is_found_by_what_it_looks_like(symbols):
    every = {**FILL, **symbols, "_text": TEXT}
    raw, places = tables(every, START)
    found = kallsyms.by_structure(b"\0" * 64 + raw + bytes(64), START - 64, TEXT)
    assert (found.names, found.offsets, found.count) == (
        places["kallsyms_names"],
        places["kallsyms_offsets"],
        len(every),
    )
    assert kallsyms.read(Bytes(raw), found).find(every) == every
