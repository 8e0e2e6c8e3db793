"""kallsyms written: the table of symbols in a kernel's read-only data, in the form of 6.12.

The offsets stand behind the tokens and count down from their base; a per-CPU symbol's is its address.

Source: scripts/kallsyms.c.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from sim_backend.layout.kvm.builder import TEXT

AT_A_TIME = 256
"""Symbols between two markers."""
TOKENS = [bytes([code]) if 32 <= code < 127 else b"" for code in range(256)]
TYPE = b"D"


def tables(symbols: Mapping[str, int], start: int) -> tuple[bytes, dict[str, int]]:
    """The tables as bytes for virtual address `start`, and the addresses of their own symbols.

    Those are not among the symbols of the table: they are known by where they stand, as an inspector finds them.
    """
    per_cpu = sorted((address, name) for name, address in symbols.items() if address < TEXT)
    image = sorted((address, name) for name, address in symbols.items() if address >= TEXT)
    ordered = [*per_cpu, *image]
    packed = [_packed(name) for _, name in ordered]
    markers, at = [], 0
    for number, name in enumerate(packed):
        if number % AT_A_TIME == 0:
            markers.append(at)
        at += len(name)
    ends = [0]
    for token in TOKENS:
        ends.append(ends[-1] + len(token) + 1)
    offsets = [address if address < TEXT else TEXT - 1 - address for address, _ in ordered]
    parts = (
        ("kallsyms_num_syms", struct.pack("<I", len(ordered))),
        ("kallsyms_names", b"".join(packed)),
        ("kallsyms_markers", struct.pack(f"<{len(markers)}I", *markers)),
        ("kallsyms_token_table", b"".join(token + b"\0" for token in TOKENS)),
        ("kallsyms_token_index", struct.pack("<256H", *ends[:256])),
        ("kallsyms_offsets", struct.pack(f"<{len(ordered)}i", *offsets)),
        ("kallsyms_relative_base", struct.pack("<Q", TEXT)),
    )
    raw = bytearray()
    places: dict[str, int] = {}
    for table, content in parts:
        raw += bytes(-len(raw) % 8)
        places[table] = start + len(raw)
        raw += content
    return bytes(raw), places


def _packed(name: str) -> bytes:
    """A name with its type, each letter its own token, behind its length."""
    whole = TYPE + name.encode()
    length = len(whole)
    return (bytes([length]) if length < 128 else bytes([0x80 | length & 0x7F, length >> 7])) + whole
