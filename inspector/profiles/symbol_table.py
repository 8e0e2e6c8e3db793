"""The table of its own symbols that each Xen image carries, compressed, found in memory by its structure alone.

Sources: xen/tools/symbols.c (which writes it), xen/common/symbols.c (which reads it), the same idea since 4.0:

    symbols_offsets      u32[n]   from XEN_VIRT_START, ascending
    symbols_num_syms     u32      n (since 4.21 symbols_num_addrs)
    symbols_names        n times: a length byte, then so many token numbers
    symbols_markers      u32[]    the offset in symbols_names of each 256th name
    symbols_token_table  256 strings, each ended by a zero
    symbols_token_index  u16[256] where in it each string starts

A name's first character is its type as `nm` prints it (lower case: local), then comes `file.c#` for local symbols.
Since 4.21 a function that another symbol does not follow at once is ended by an entry without a name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from structs.frozen import frozen

TOKENS = 256
STEP = 256
"""Names from one marker to the next."""
ALIGNMENT = 8
"""Of the parts, at most."""
TOKEN_LIMIT = 64
NAME_LIMIT = 1 + 128
"""Bytes of one compressed name, its length byte included (KSYM_NAME_LEN is 127)."""
MARKERS_LIMIT = 1 << 10
CODE = frozenset("tTwW")


@frozen
class Symbol:
    """A symbol: its address, its name without the file's, the file if it is local, its type as `nm` prints it."""

    address: int
    name: str
    file: str
    kind: str


@frozen
class Function:
    """A function and how far its code goes: to the next symbol, or to where the table says that it ends."""

    name: str
    address: int
    size: int


class SymbolTable:
    """All symbols of one image.

    Args:
        symbols: ascending by address; an entry with an empty name is where the function before it ends.
    """

    def __init__(self, symbols: list[Symbol]) -> None:
        self.symbols = symbols
        self._starts = [symbol.address for symbol in symbols]
        named: dict[str, set[int]] = {}
        for symbol in symbols:
            if symbol.name:
                named.setdefault(symbol.name, set()).add(symbol.address)
        self.addresses = {name: next(iter(places)) for name, places in named.items() if len(places) == 1}
        """By name; a local name that stands for several places is left out."""
        self.has_data = any(symbol.kind and symbol.kind not in CODE for symbol in symbols)
        """Whether data and per-CPU symbols are in it (CONFIG_LIVEPATCH), or functions only."""

    def function_at(self, address: int) -> Function | None:
        """The function that an address lies in; None between functions, in data, and after the last symbol."""
        place = bisect_right(self._starts, address)
        if not 0 < place < len(self.symbols):
            return None
        size = self._starts[place] - self._starts[place - 1]
        first = place - 1
        while first and self._starts[first - 1] == self._starts[place - 1]:
            first -= 1
        chosen = [symbol for symbol in self.symbols[first:place] if symbol.name and symbol.kind in CODE]
        if not chosen:
            return None
        best = next((symbol for symbol in chosen if symbol.kind.isupper()), chosen[0])
        return Function(best.name, best.address, size)

    def function(self, name: str) -> Function | None:
        """A function by name; None if there is none, or several."""
        address = self.addresses.get(name)
        found = self.function_at(address) if address is not None else None
        return Function(name, found.address, found.size) if found and found.address == address else None


def find(image: bytes, base: int) -> SymbolTable | None:
    """The symbol table in the bytes of an image; None if there is no whole one.

    Args:
        image: the image's read-only data, or all of it, aligned to 4 in Xen's address space.
        base: XEN_VIRT_START, from which the offsets count.
    """
    for index in _token_indices(image):
        for tokens, start in _tokens(image, index):
            for markers, after in _markers(image, start):
                found = _names(image, markers, tokens, after)
                if found and (offsets := _offsets(image, found[1], len(found[0]))) is not None:
                    return SymbolTable(_symbols(found[0], offsets, base))
    return None


def _token_indices(image: bytes) -> Iterator[int]:
    """Where 256 ascending 16-bit numbers from 0 on lie that could be the starts of short strings."""
    words = np.frombuffer(image, "<u2", len(image) // 2)
    zeros = np.flatnonzero(words[: max(0, len(words) - TOKENS + 1)] == 0)
    # Few zeros are followed by what a string's length can be; of those, few by a second such number.
    for further in (1, 2, 3):
        step = words[zeros + further].astype(np.int32) - words[zeros + further - 1]
        zeros = zeros[(step > 0) & (step <= TOKEN_LIMIT)]
    for place in zeros.tolist():
        steps = np.diff(words[place : place + TOKENS].astype(np.int32))
        if len(steps) == TOKENS - 1 and steps.min() > 0 and steps.max() <= TOKEN_LIMIT:
            yield place * 2


def _tokens(image: bytes, index: int) -> Iterator[tuple[list[bytes], int]]:
    """The strings that a token index could stand for, and where the first starts."""
    starts = np.frombuffer(image, "<u2", TOKENS, index).astype(np.int64)
    last = int(starts[-1])
    for size in range(last + 1, last + TOKEN_LIMIT + 8):
        first = index - size
        if first < 0:
            return
        table = image[first:index]
        ends = np.frombuffer(table, "u1")[starts[1:] - 1]
        if ends.any():
            continue
        strings = table.split(b"\0")
        if len(strings) > TOKENS and _fit(strings, starts):
            yield strings[:TOKENS], first


def _fit(strings: list[bytes], starts: np.ndarray) -> bool:
    lengths = np.array([len(string) + 1 for string in strings[: TOKENS - 1]])
    return bool((np.cumsum(lengths) == starts[1:]).all())


def _markers(image: bytes, end: int) -> Iterator[tuple[np.ndarray, int]]:
    """The ascending 32-bit numbers that end, up to alignment, at `end`, from a zero on; and where they start."""
    for stop in range(end // 4 * 4, max(-1, end - ALIGNMENT), -4):
        words = np.frombuffer(image, "<u4", min(stop // 4, MARKERS_LIMIT), max(0, stop - MARKERS_LIMIT * 4))
        falling = np.flatnonzero(words[1:] <= words[:-1])
        run = words[(int(falling[-1]) + 1 if len(falling) else 0) :]
        if len(run) and run[0] == 0:
            yield run.astype(np.int64), stop - 4 * len(run)


def _names(image: bytes, markers: np.ndarray, tokens: list[bytes], end: int) -> tuple[list[str], int] | None:
    """The names in order, which end, up to alignment, at `end`; and where the number of them stands."""
    least, most = (len(markers) - 1) * STEP + 1, len(markers) * STEP
    stop = end - int(markers[-1])
    begin = max(0, stop - STEP * NAME_LIMIT) // 4 * 4
    counts = np.frombuffer(image, "<u4", max(0, (stop - begin)) // 4, begin)
    for place in np.flatnonzero((counts >= least) & (counts <= most))[::-1].tolist():
        at = begin + place * 4
        for pad in (4, 8):
            if names := _walk(image, at + pad, int(counts[place]), markers, tokens, end):
                return names, at
    return None


def _walk(image: bytes, start: int, count: int, markers: np.ndarray, tokens: list[bytes], end: int) -> list[str] | None:
    """The names from `start` on; None if they do not meet every marker, or do not end, up to alignment, at `end`."""
    expected = markers.tolist()
    places = []
    at = start
    if at >= len(image) or not 0 < image[at] < NAME_LIMIT:
        return None
    for number in range(count):
        if number % STEP == 0 and at - start != expected[number // STEP]:
            return None
        if at >= len(image):
            return None
        places.append(at)
        at += 1 + image[at]
    if not 0 <= end - at < ALIGNMENT:
        return None
    return [
        b"".join([tokens[token] for token in image[place + 1 : place + 1 + image[place]]]).decode("ascii", "replace")
        for place in places
    ]


def _offsets(image: bytes, end: int, count: int) -> np.ndarray | None:
    """The ascending offsets that end where, up to alignment, the number of them stands."""
    for pad in (0, 4):
        start = end - pad - 4 * count
        if start < 0:
            continue
        offsets = np.frombuffer(image, "<u4", count, start).astype(np.int64)
        if (np.diff(offsets) >= 0).all() and offsets[0] < offsets[-1]:
            return offsets
    return None


def _symbols(names: list[str], offsets: np.ndarray, base: int) -> list[Symbol]:
    symbols = []
    for name, offset in zip(names, offsets.tolist(), strict=True):
        file, _, own = name[1:].rpartition("#")
        symbols.append(Symbol(base + offset, own, file, name[:1]))
    return symbols
