"""A Linux's own table of symbols, kallsyms: names packed by tokens, and addresses, in the order of addresses.

Which tables there are, and where, differs by version: the addresses stand before the names (seen in 6.1) or behind
the tokens (6.12, 7.3); they count from `kallsyms_relative_base` (6.1, 6.12), or each from its own place (7.3). Where
per-CPU symbols are absolute (6.1, 6.12), a number that is not negative is an address of its own.

Sources: scripts/kallsyms.c, kernel/kallsyms.c (kallsyms_expand_symbol, kallsyms_sym_address).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.base.errors import VtdpiError
from inspector.kernels.paging import PageTables
from structs.frozen import frozen

SYMBOLS_LIMIT = 1 << 20
NAMES_LIMIT = 64 << 20
TOKENS = 256
AT_A_TIME = 256
"""Symbols between two markers."""
DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
"""Every letter that a name may have is a token, by its code: so these follow each other in every table."""
LONGEST = 129
"""Bytes of a packed name whose length has one byte, with that."""
TABLE_BYTES = 1 << 14

Words = NDArray[np.int64]


class KallsymsError(VtdpiError):
    """A table of symbols that is not there, or damaged."""


@frozen
class Places:
    """Where the tables are. `relative_base` is its address, None where each offset counts from its own place."""

    count: int
    names: int
    tokens: int
    offsets: int
    relative_base: int | None


class Kallsyms:
    """The symbols of one kernel: each has an address and a name, which is unpacked when it is asked for.

    Args:
        names: packed, one after the other; what follows the last one is left alone.
        tokens: what each byte of a packed name stands for.
        addresses: of each symbol, as kallsyms orders them.

    Raises:
        KallsymsError: there are fewer names than addresses.
    """

    def __init__(self, names: bytes, tokens: list[bytes], addresses: NDArray[np.uint64]) -> None:
        self.addresses = addresses
        self._tokens = tokens
        self._starts, self._ends = _extents(names, len(addresses))
        self._packed = np.frombuffer(names, "u1", int(self._ends[-1]))

    def __len__(self) -> int:
        return len(self.addresses)

    def find(self, wanted: Iterable[str]) -> dict[str, int]:
        """The address of each of these symbols, the first of several of one name; those that there are."""
        found: dict[str, int] = {}
        for name in wanted:
            for at in np.flatnonzero(self._sums == _sum(name.encode())).tolist():
                if self.name(at) == name:
                    found[name] = int(self.addresses[at])
                    break
        return found

    def name(self, at: int) -> str:
        """The name of a symbol by its place in the table."""
        packed = self._packed[self._starts[at] : self._ends[at]].tolist()
        # The first letter is the symbol's type.
        return b"".join(self._tokens[code] for code in packed)[1:].decode("ascii", "backslashreplace")

    def at(self, address: int) -> tuple[str, int] | None:
        """The symbol that an address lies in or after, and how far; None if it lies before all."""
        place = int(np.searchsorted(self._ordered, np.uint64(address), "right")) - 1
        if place < 0:
            return None
        at = int(self._order[place])
        return self.name(at), address - int(self.addresses[at])

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self.addresses, kind="stable")

    @cached_property
    def _ordered(self) -> NDArray[np.uint64]:
        return self.addresses[self._order]

    @cached_property
    def _sums(self) -> NDArray[np.uint64]:
        """A number of each name, made of its letters in whatever order: few names have the same."""
        values = np.array([_sum(token) for token in self._tokens], np.uint64)
        first = np.array([_sum(token[:1]) for token in self._tokens], np.uint64)
        sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(values[self._packed], dtype=np.uint64)))
        found: NDArray[np.uint64] = sums[self._ends] - sums[self._starts] - first[self._packed[self._starts]]
        return found


def _extents(names: bytes, count: int) -> tuple[Words, Words]:
    """Where each of the first `count` packed names begins and ends. Raises KallsymsError."""
    starts, ends = [], []
    at, size = 0, len(names)
    for _ in range(count):
        if at >= size - 1:
            break
        length = names[at]
        at += 1
        if length >= 0x80:
            # A name of over 127 bytes, which there may be from 6.1 on.
            length = length & 0x7F | names[at] << 7
            at += 1
        if not length:
            break
        starts.append(at)
        at += length
        ends.append(at)
    if len(ends) < count or at > size:
        raise KallsymsError(f"kallsyms is damaged: {len(ends)} of its {count} names are there")
    return np.array(starts, np.int64), np.array(ends, np.int64)


_LETTERS = tuple(pow(0x9E3779B97F4A7C15, code + 2, (1 << 61) - 1) for code in range(256))
"""A number for each letter, such that few sums of some are alike."""


def _sum(text: bytes) -> int:
    return sum(_LETTERS[code] for code in text) & (1 << 64) - 1


def read(memory: PageTables, places: Places) -> Kallsyms:
    """The symbols of the tables there.

    Raises:
        NotMapped, NotReadable: a table is not there.
        KallsymsError: they are damaged.
    """
    count = places.count
    if not 0 < count <= SYMBOLS_LIMIT or not 0 < places.tokens - places.names <= NAMES_LIMIT:
        raise KallsymsError(f"kallsyms is damaged: {count} symbols in {places.tokens - places.names} bytes of names")
    names = memory.read(places.names, places.tokens - places.names)
    tokens = _tokens(memory.read(places.tokens, TABLE_BYTES))[0]
    offsets = np.frombuffer(memory.read(places.offsets, 4 * count), "<i4").astype(np.int64)
    base = None
    if places.relative_base is not None:
        base = int.from_bytes(memory.read(places.relative_base, 8), "little")
    return Kallsyms(names, tokens, addresses(offsets, places.offsets, base))


def addresses(offsets: Words, start: int, base: int | None) -> NDArray[np.uint64]:
    """The addresses that a table of offsets at `start` stands for; `base` as in `Places`."""
    if base is None:
        own = np.uint64(start) + np.arange(0, 4 * len(offsets), 4, dtype=np.uint64)
        return own + offsets.astype(np.uint64)
    if not (offsets < 0).any():
        return np.uint64(base) + offsets.astype(np.uint64)
    # A negative one counts down from the base; any other is an address of its own (of a per-CPU variable).
    return np.where(offsets < 0, np.uint64(base) + (-1 - offsets).astype(np.uint64), offsets.astype(np.uint64))


def by_symbols(memory: PageTables, symbols: dict[str, int]) -> Places:
    """The tables of which vmcoreinfo names the addresses (from 6.0 on).

    Raises:
        KallsymsError: it does not, or they are not there.
        NotMapped, NotReadable: a table is not there.
    """
    try:
        names, tokens, offsets = (symbols[f"kallsyms_{name}"] for name in ("names", "token_table", "offsets"))
        count = int.from_bytes(memory.read(symbols["kallsyms_num_syms"], 4), "little")
    except KeyError as error:
        raise KallsymsError(f"vmcoreinfo does not tell where {error} is") from None
    return Places(count, names, tokens, offsets, symbols.get("kallsyms_relative_base"))


def by_structure(raw: bytes, start: int, text: int) -> Places | None:
    """The tables in read-only data of a kernel at virtual address `start`, by what they look like; None if none is.

    `text` is the address of its first symbol.
    """
    for digits in re.finditer(re.escape(DIGITS), raw):
        if (found := _around(raw, start, digits.start(), text)) is not None:
            return found
    return None


def _around(raw: bytes, start: int, digits: int, text: int) -> Places | None:
    """The tables whose token `0` is at `digits`."""
    at = digits - 1
    for _ in range(ord("0")):
        at = raw.rfind(b"\0", 0, at) if at > 0 else -1
    tokens_at = at + 1
    tokens, end = _tokens(raw[tokens_at : tokens_at + TABLE_BYTES])
    if len(tokens) < TOKENS:
        return None
    wanted = np.cumsum([0, *(len(token) + 1 for token in tokens[:-1])]).astype("<u2").tobytes()
    index = next((tokens_at + end + gap for gap in range(8) if raw.startswith(wanted, tokens_at + end + gap)), None)
    if index is None:
        return None
    before = _base_before(raw, tokens_at, text)
    if before is not None:
        base, count = before
        at = base - 4 * count & ~7
        if at >= 0 and _ascend(raw, start, at, count, base):
            return Places(count, start + base + 16, start + tokens_at, start + at, start + base)
    named = _names_before(raw, tokens_at)
    if named is None:
        return None
    count, names_at = named
    offsets = _offsets_after(raw, start, count, index + 2 * TOKENS)
    return offsets and Places(count, start + names_at, start + tokens_at, *offsets)


def _base_before(raw: bytes, tokens_at: int, text: int) -> tuple[int, int] | None:
    """Where the offsets' base stands right before the number of symbols and their names, and that number."""
    base = tokens_at
    while (base := raw.rfind(text.to_bytes(8, "little"), 0, base)) >= 0:
        count = int.from_bytes(raw[base + 8 : base + 16], "little")
        if 0 < count <= SYMBOLS_LIMIT and 0 < _walked(raw, base + 16, count) <= tokens_at:
            return base, count
    return None


def _tokens(table: bytes) -> tuple[list[bytes], int]:
    """The tokens at the start of a table, and its end."""
    tokens = table.split(b"\0", TOKENS)[:TOKENS]
    return tokens, sum(len(token) + 1 for token in tokens)


def _markers(raw: bytes, end: int) -> tuple[int, NDArray[np.int64]] | None:
    """Where the markers begin that end before `end`, and what they are: ascending from 0."""
    last = end & ~3
    words = np.frombuffer(raw[max(0, last - 4 * (SYMBOLS_LIMIT // AT_A_TIME)) & ~3 : last], "<u4").astype(np.int64)
    if len(words) > 1 and words[-1] == 0:
        words, last = words[:-1], last - 4
    falls = np.flatnonzero(np.diff(words) <= 0)
    first = int(falls[-1]) + 1 if len(falls) else 0
    values = words[first:]
    return (last - 4 * len(values), values) if len(values) > 1 and values[0] == 0 else None


def _names_before(raw: bytes, tokens_at: int) -> tuple[int, int] | None:
    """How many symbols there are, and where their names begin: before the markers that stand before the tokens."""
    found = _markers(raw, tokens_at)
    if found is None:
        return None
    markers_at, markers = found
    last, groups = int(markers[-1]), len(markers)
    for names_at in range(markers_at - last & ~3, max(8, markers_at - last - AT_A_TIME * LONGEST) & ~3, -4):
        for number_at in (names_at - 4, names_at - 8):
            count = int.from_bytes(raw[number_at : number_at + 4], "little")
            if AT_A_TIME * (groups - 1) < count <= AT_A_TIME * groups:
                end = _walked(raw, names_at + last, count - AT_A_TIME * (groups - 1))
                if markers_at - 8 < end <= markers_at and _walked(raw, names_at, AT_A_TIME) == names_at + markers[1]:
                    return count, names_at
    return None


def _walked(raw: bytes, at: int, count: int) -> int:
    """Where `count` packed names end."""
    for _ in range(count):
        if not 0 <= at < len(raw) - 1:
            return -1
        length = raw[at]
        at += 1 + length if length < 0x80 else 2 + (length & 0x7F | raw[at + 1] << 7)
    return at


def _offsets_after(raw: bytes, start: int, count: int, after: int) -> tuple[int, int | None] | None:
    """Where the offsets are that follow the tokens, and the address of their base, if they have one."""
    for at in range(after + (-(start + after) & 3), after + 8, 4):
        base = _aligned(start, at + 4 * count, 8)
        if _is_kernels(raw, base) and _ascend(raw, start, at, count, base):
            return start + at, start + base
        if _ascend(raw, start, at, count, None):
            return start + at, None
    return None


def _aligned(start: int, at: int, to: int) -> int:
    return at + -(start + at) % to


def _is_kernels(raw: bytes, at: int) -> bool:
    """Whether an address of a kernel's image stands there."""
    return 0 <= at <= len(raw) - 8 and int.from_bytes(raw[at : at + 8], "little") >> 31 == (1 << 33) - 1


def _ascend(raw: bytes, start: int, at: int, count: int, base_at: int | None) -> bool:
    """Whether these offsets stand for addresses in ascending order, those of the image within its 1 GiB."""
    offsets = np.frombuffer(raw[at : at + 4 * count], "<i4").astype(np.int64)
    if len(offsets) < count:
        return False
    base = None if base_at is None else int.from_bytes(raw[base_at : base_at + 8], "little")
    found = addresses(offsets, start + at, base)
    image = found[found >> np.uint64(30) == np.uint64((1 << 34) - 2)]
    return len(image) > count // 2 and bool((np.diff(image.astype(np.int64)) >= 0).all())
