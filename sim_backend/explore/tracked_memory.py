"""Memory that is a state's: each 8 bytes are a key of it."""

from __future__ import annotations

from sim_backend.explore.tracked_records import Shown
from sim_backend.explore.view import Shared
from sim_backend.logic.state import State, Store
from sim_backend.logic.store_buffers import NOBODY, BufferedMemory
from sim_backend.memory.memory import Memory, SeenMemory

CELL = 8


class TrackedMemory(SeenMemory):
    """Memory, 8 bytes a key: their address.

    Args:
        locks: ticket locks; their state is how many hold or want one, not how often it was taken.
        mirrors: 8 bytes each, by address, that only show what is elsewhere in the state, or count for ever. Stores
            there are dropped; they read as in the first state.
    """

    __slots__ = ("_base", "_locks", "_mirrors", "_shown")

    def __init__(self, base: Memory, locks: frozenset[int], mirrors: frozenset[int], shown: Shown) -> None:
        self._base = base
        self._locks = locks
        self._mirrors = mirrors
        self._shown = shown
        self.size, self.high = base.size, base.high
        self.observer = None

    def first(self, cell: int) -> int:
        """What is there in the first state."""
        return self._settled(cell, self._base.u64(cell))

    def _number(self, address: int, size: int) -> int:
        at = address & CELL - 1
        if at + size > CELL:
            return int.from_bytes(self.read(address, size), "little")
        return self._cell(address - at) >> 8 * at & (1 << 8 * size) - 1

    def _cell(self, cell: int) -> int:
        value: int = self._base.u64(cell) if cell in self._mirrors else self._shown.view[cell]
        return value

    def _store(self, address: int, size: int, value: int) -> None:
        if not 0 <= value < 1 << 8 * size:
            raise self._no_number(address, size, value)
        at = address & CELL - 1
        if at + size > CELL:
            self.write(address, value.to_bytes(size, "little"))
            return
        cell, view = address - at, self._shown.view
        if cell in self._mirrors:
            return
        whole = view[cell] & ~((1 << 8 * size) - 1 << 8 * at) | value << 8 * at
        view[cell] = self._settled(cell, whole)

    def _settled(self, cell: int, value: int) -> int:
        for lock in (cell, cell + 4):
            if lock in self._locks:
                shift = 8 * (lock - cell)
                word = value >> shift & 0xFFFF_FFFF
                waiting = (word >> 16) - word & 0xFFFF
                value = value & ~(0xFFFF_FFFF << shift) | waiting << 16 + shift
        return value

    def read(self, address: int, size: int) -> bytes:
        start, end = address & -CELL, address + size
        cells = b"".join(self._cell(cell).to_bytes(CELL, "little") for cell in range(start, end, CELL))
        return cells[address - start : end - start]

    def write(self, address: int, data: bytes) -> None:
        end = address + len(data)
        for cell in range(address & -CELL, end, CELL):
            first, last = max(cell, address), min(cell + CELL, end)
            part = data[first - address : last - address]
            self._store(first, len(part), int.from_bytes(part, "little"))

    def test_and_set_bit(self, address: int, bit: int) -> bool:
        return self._change_bit(address + (bit >> 3), 1 << (bit & 7), True)

    def test_and_clear_bit(self, address: int, bit: int) -> bool:
        return self._change_bit(address + (bit >> 3), 1 << (bit & 7), False)

    def _change_bit(self, address: int, mask: int, value: bool) -> bool:
        old = self.u8(address)
        self.set_u8(address, old | mask if value else old & ~mask)
        return bool(old & mask)

    def has(self, address: int, size: int) -> bool:
        return self._base.has(address, size)

    def first_store(self, store: Store) -> Store:
        """A store that waits in the first state: a lock is released from where memory says that it stands."""
        address, size, value = store
        return (address, size, value - self._base.u16(address) & 0xFFFF) if address in self._locks else store


class TrackedStores(BufferedMemory):
    """Memory with store buffers."""

    __slots__ = ("_shown",)

    def __init__(self, memory: Memory, state: State, shown: Shown) -> None:
        super().__init__(memory, state)
        self._shown = shown

    # A step that is to stay among its own (`View.own`) may look at its CPU's buffer, and no more. Memory that changes
    # is not its own, so whatever the buffer has let go of by then, it reads the same. But an interrupt may come before
    # it: all that the interrupt does with locked operations is then seen before a store of this step, and would be
    # seen after it if the store came early. And a fence that lets go of something is seen by others.

    def fence(self) -> None:
        """As BufferedMemory.fence."""
        if self.cpu != NOBODY and self._shown.view.own is not None and self.state.buffers[self.cpu]:
            raise Shared("fence")
        super().fence()

    def _store(self, address: int, size: int, value: int) -> None:
        if self.cpu != NOBODY and self._shown.view.own is not None:
            raise Shared(address)
        super()._store(address, size, value)
