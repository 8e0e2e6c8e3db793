"""Physical memory with the atomic operations that Xen and the VT-d unit use on it.

Memory is a dictionary of 4 KiB pages. A page that only this memory may change is a `bytearray`; one that is shared with
a copy, or was never written, is `bytes`. The first write to such a page makes it the memory's own. So a copy costs as
much as the pages that were written since the last one, and the digest hashes only those that changed.

    >>> memory = Memory(0x10000)
    >>> memory.set_u64(0x1008, 5)
    >>> memory.test_and_set_bit(0x1008, 1), memory.u64(0x1008), memory.xchg_u64(0x1008, 9)
    (False, 7, 7)
    >>> other = memory.copy()
    >>> other.digest() == memory.digest(), other.cmpxchg_u64(0x1008, 9, 1), other == memory
    (True, 9, False)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from hashlib import blake2b
from struct import Struct
from struct import error as StructError

from sim_backend.memory.errors import SimError

PAGE = 0x1000
SHIFT = 12
GIB_4 = 1 << 32
OFFSET = PAGE - 1
U32_MASK, U64_MASK = (1 << 32) - 1, (1 << 64) - 1

Observer = Callable[[int, int, int, int], None]
"""Called after each store with its address, its size in bytes, and the little-endian value before and after."""

_ZERO = bytes(PAGE)
_HASH_SIZE = 32
_U16, _U32, _U64 = Struct("<H"), Struct("<I"), Struct("<Q")
_read_u16, _read_u32, _read_u64 = _U16.unpack_from, _U32.unpack_from, _U64.unpack_from
_write_u16, _write_u32, _write_u64 = _U16.pack_into, _U32.pack_into, _U64.pack_into


class Memory:
    """RAM at physical addresses 0 up to `size`, `high` bytes of it from 4 GiB up, and what `add` puts elsewhere (device
    registers).

    Every access raises SimError if part of it is neither. A number must lie within one page, as every naturally aligned
    one does, and a value must fit its size. Numbers are unsigned and little-endian.

    Attributes:
        observer: is told each store; None for nobody. A copy has none.
    """

    __slots__ = ("_hash", "_hashes", "_own", "_pages", "_stale", "high", "observer", "size")

    def __init__(self, size: int, high: int = 0) -> None:
        if size <= 0 or size % PAGE or high < 0 or high % PAGE:
            raise SimError(f"memory of {size} and {high} bytes: they must be multiples of {PAGE}, the first positive")
        # Before anything is laid out for it: a page costs a hundred bytes here even if nothing is in it.
        if max(size, high) > GIB_4:
            raise SimError(f"memory of {size} and {high} bytes: up to 4 GiB below 4 GiB and as much above")
        self.size = size
        self.high = high
        self.observer: Observer | None = None
        self._pages: dict[int, bytes | bytearray] = dict.fromkeys(range(size >> SHIFT), _ZERO)
        self._own: set[int] = set()
        self._stale: set[int] = set()
        self._hashes: dict[int, int] = {}
        self._hash = 0
        if high:
            self.add(GIB_4, high)

    def ram(self) -> tuple[tuple[int, int], ...]:
        """Where there is RAM: first addresses and sizes, ascending."""
        return ((0, self.size), (GIB_4, self.high)) if self.high else ((0, self.size),)

    def is_ram(self, address: int) -> bool:
        """Whether there is RAM at a physical address."""
        return 0 <= address < self.size or 0 <= address - GIB_4 < self.high

    def add(self, start: int, size: int) -> None:
        """Give the physical range `start`.. zeroed pages: a window of device registers. Both are multiples of 4096."""
        pages = range(start >> SHIFT, start + size >> SHIFT)
        if start % PAGE or size % PAGE or any(page in self._pages for page in pages):
            raise SimError(f"{size:#x} bytes at {start:#x} cannot be added: not whole pages, or already there")
        self._pages.update(dict.fromkeys(pages, _ZERO))

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at a physical address."""
        end = address + size
        if address >> SHIFT == end - 1 >> SHIFT:
            at = address & OFFSET
            return bytes(self._page(address)[at : at + size])
        parts = []
        while address < end:
            at = address & OFFSET
            part = self._page(address)[at : at + end - address]
            parts.append(part)
            address += len(part)
        return b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Store bytes at a physical address, as one store. Nothing is written if part of it is nowhere."""
        size, at = len(data), address & OFFSET
        for page in range(address >> SHIFT, address + size + OFFSET >> SHIFT):
            if page not in self._pages:
                raise self._nowhere(page << SHIFT)
        old = self.read(address, size) if self.observer is not None else b""
        if at + size <= PAGE:
            self._writable(address)[at : at + size] = data
        else:
            self._write_pages(address, data)
        if self.observer is not None:
            self.observer(address, size, int.from_bytes(old, "little"), int.from_bytes(data, "little"))

    def u8(self, address: int) -> int:
        """The byte at a physical address."""
        try:
            return self._pages[address >> SHIFT][address & OFFSET]
        except KeyError:
            raise self._no_number(address, 1) from None

    def u16(self, address: int) -> int:
        """The 2 bytes at a physical address as a number."""
        try:
            value: int = _read_u16(self._pages[address >> SHIFT], address & OFFSET)[0]
        except (KeyError, StructError):
            raise self._no_number(address, 2) from None
        return value

    def u32(self, address: int) -> int:
        """The 4 bytes at a physical address as a number."""
        try:
            value: int = _read_u32(self._pages[address >> SHIFT], address & OFFSET)[0]
        except (KeyError, StructError):
            raise self._no_number(address, 4) from None
        return value

    def u64(self, address: int) -> int:
        """The 8 bytes at a physical address as a number."""
        try:
            value: int = _read_u64(self._pages[address >> SHIFT], address & OFFSET)[0]
        except (KeyError, StructError):
            raise self._no_number(address, 8) from None
        return value

    def set_u8(self, address: int, value: int) -> None:
        """Store a byte."""
        page, at = self._pages.get(address >> SHIFT), address & OFFSET
        if type(page) is not bytearray:
            page = self._writable(address)
        if not 0 <= value < 256:
            raise self._no_number(address, 1, value)
        old, page[at] = page[at], value
        if self.observer is not None:
            self.observer(address, 1, old, value)

    def set_u16(self, address: int, value: int) -> None:
        """Store 2 bytes."""
        old = self.u16(address) if self.observer is not None else 0
        try:
            page = self._pages.get(address >> SHIFT)
            _write_u16(page if type(page) is bytearray else self._writable(address), address & OFFSET, value)
        except StructError:
            raise self._no_number(address, 2, value) from None
        if self.observer is not None:
            self.observer(address, 2, old, value)

    def set_u32(self, address: int, value: int) -> None:
        """Store 4 bytes."""
        old = self.u32(address) if self.observer is not None else 0
        try:
            page = self._pages.get(address >> SHIFT)
            _write_u32(page if type(page) is bytearray else self._writable(address), address & OFFSET, value)
        except StructError:
            raise self._no_number(address, 4, value) from None
        if self.observer is not None:
            self.observer(address, 4, old, value)

    def set_u64(self, address: int, value: int) -> None:
        """Store 8 bytes."""
        old = self.u64(address) if self.observer is not None else 0
        try:
            page = self._pages.get(address >> SHIFT)
            _write_u64(page if type(page) is bytearray else self._writable(address), address & OFFSET, value)
        except StructError:
            raise self._no_number(address, 8, value) from None
        if self.observer is not None:
            self.observer(address, 8, old, value)

    def test_and_set_bit(self, address: int, bit: int) -> bool:
        """Set a bit, counted from the lowest of the byte at `address`; whether it was set. Atomic, as `lock bts`."""
        address += bit >> 3
        page, at, mask = self._pages.get(address >> SHIFT), address & OFFSET, 1 << (bit & 7)
        if type(page) is not bytearray:
            page = self._writable(address)
        old = page[at]
        page[at] = old | mask
        if self.observer is not None:
            self.observer(address, 1, old, old | mask)
        return bool(old & mask)

    def test_and_clear_bit(self, address: int, bit: int) -> bool:
        """Clear a bit; whether it was set. Atomic, as `lock btr`."""
        address += bit >> 3
        page, at, mask = self._pages.get(address >> SHIFT), address & OFFSET, 1 << (bit & 7)
        if type(page) is not bytearray:
            page = self._writable(address)
        old = page[at]
        page[at] = old & ~mask
        if self.observer is not None:
            self.observer(address, 1, old, old & ~mask)
        return bool(old & mask)

    def add_u32(self, address: int, value: int) -> int:
        """Add to 4 bytes and return what was there. Atomic, as `lock xadd`."""
        old = self.u32(address)
        self.set_u32(address, old + value & U32_MASK)
        return old

    def xchg_u64(self, address: int, value: int) -> int:
        """Store 8 bytes and return what was there. Atomic."""
        old = self.u64(address)
        self.set_u64(address, value)
        return old

    def cmpxchg_u64(self, address: int, old: int, new: int) -> int:
        """Store `new` if `old` is there; returns what was there. Atomic. No store is made otherwise."""
        seen = self.u64(address)
        if seen == old:
            self.set_u64(address, new)
        return seen

    def cmpxchg_u128(self, address: int, old: int, new: int) -> int:
        """As `cmpxchg_u64`, with 16 bytes: how Xen writes an interrupt-remapping entry."""
        seen = int.from_bytes(self.read(address, 16), "little")
        if seen == old:
            self.write(address, new.to_bytes(16, "little"))
        return seen

    def fence(self) -> None:
        """All stores of whoever moves become visible to all: here they are at once."""

    def copy(self) -> Memory:
        """A memory of the same bytes that goes its own way. The observer stays here."""
        self._share()
        other = Memory.__new__(Memory)
        other.size, other.high = self.size, self.high
        other.observer = None
        other._pages = self._pages.copy()
        other._own = set()
        other._stale = self._stale.copy()
        other._hashes = self._hashes.copy()
        other._hash = self._hash
        return other

    def digest(self) -> bytes:
        """32 bytes that tell this memory from any other: equal memories have equal digests."""
        # A page that stays writable could change unnoticed, and would have to be hashed each time.
        self._share()
        for page in self._stale:
            content = self._pages[page]
            new = (
                0
                if content == _ZERO
                else int.from_bytes(blake2b(content, salt=page.to_bytes(8, "little")).digest()[:32])
            )
            self._hash ^= self._hashes.get(page, 0) ^ new
            self._hashes[page] = new
        self._stale.clear()
        return blake2b(self._hash.to_bytes(_HASH_SIZE) + self.size.to_bytes(8), digest_size=_HASH_SIZE).digest()

    def used_pages(self) -> Iterable[tuple[int, bytes]]:
        """Physical address and content of every page that is not all zeros, ascending."""
        return ((page << SHIFT, bytes(content)) for page, content in sorted(self._pages.items()) if content != _ZERO)

    def has(self, address: int, size: int) -> bool:
        """Whether all of these bytes are there."""
        return all(page in self._pages for page in range(address >> SHIFT, address + size + OFFSET >> SHIFT))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory) and self.size == other.size and self._pages == other._pages

    __hash__ = None  # type: ignore[assignment]

    def _share(self) -> None:
        """Make every page one that is copied before the next write to it."""
        for page in self._own:
            self._pages[page] = bytes(self._pages[page])
        self._own.clear()

    def _write_pages(self, address: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            place = address + done
            at = place & OFFSET
            part = data[done : done + PAGE - at]
            self._writable(place)[at : at + len(part)] = part
            done += len(part)

    @staticmethod
    def _nowhere(address: int) -> SimError:
        return SimError(f"there is no memory and no device at physical address {address:#x}")

    def _no_number(self, address: int, size: int, value: int = 0) -> SimError:
        if not self.has(address, size):
            return self._nowhere(address)
        if not 0 <= value < 1 << 8 * size:
            return SimError(f"{value:#x} does not fit the {size} bytes at physical address {address:#x}")
        return SimError(f"{size} bytes at physical address {address:#x} cross a page: read or write them as bytes")

    def _page(self, address: int) -> bytes | bytearray:
        try:
            return self._pages[address >> SHIFT]
        except KeyError:
            raise self._nowhere(address) from None

    def _writable(self, address: int) -> bytearray:
        number = address >> SHIFT
        page = self._pages.get(number)
        if type(page) is bytearray:
            return page
        if page is None:
            raise self._nowhere(address)
        own = self._pages[number] = bytearray(page)
        self._own.add(number)
        self._stale.add(number)
        return own


class SeenMemory(Memory):
    """A memory that is only a way to see another one: all its numbers are read and stored by two methods."""

    __slots__ = ()

    def _number(self, address: int, size: int) -> int:
        return int.from_bytes(self.read(address, size), "little")

    @abstractmethod
    def _store(self, address: int, size: int, value: int) -> None:
        """Store a number of `size` bytes."""

    def u8(self, address: int) -> int:
        return self._number(address, 1)

    def u16(self, address: int) -> int:
        return self._number(address, 2)

    def u32(self, address: int) -> int:
        return self._number(address, 4)

    def u64(self, address: int) -> int:
        return self._number(address, 8)

    def set_u8(self, address: int, value: int) -> None:
        self._store(address, 1, value)

    def set_u16(self, address: int, value: int) -> None:
        self._store(address, 2, value)

    def set_u32(self, address: int, value: int) -> None:
        self._store(address, 4, value)

    def set_u64(self, address: int, value: int) -> None:
        self._store(address, 8, value)
