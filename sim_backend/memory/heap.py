"""Xen's heap: pages and small objects. What is freed keeps its bytes until it is used again."""

from __future__ import annotations

from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE, Memory
from structs.frozen import frozen

SMALL_ALIGNMENT = 64


@frozen
class HeapState:
    """All of a heap, as plain data for JSON; `free` holds lists of a size and the addresses of free places of it."""

    next: int
    end: int
    small_next: int
    small_end: int
    free: list[list[int]]


class Heap:
    """Allocates physical memory from `start` up to `end`, both page aligned; what it hands out is zeroed.

    Raises SimError when there is no more.
    """

    def __init__(self, start: int, end: int) -> None:
        self.next = start
        self.end = end
        self.small_next = self.small_end = 0
        self.free: dict[int, list[int]] = {}

    def pages(self, memory: Memory, count: int = 1, alignment: int = PAGE) -> int:
        """The address of `count` pages in a row. `alignment` is in bytes."""
        return self._take(memory, count * PAGE, alignment)

    def small(self, memory: Memory, size: int) -> int:
        """The address of an object that is smaller than a page, on a cache line of its own."""
        size = -(-size // SMALL_ALIGNMENT) * SMALL_ALIGNMENT
        if size >= PAGE:
            return self.pages(memory, -(-size // PAGE))
        if not self.free.get(size) and self.small_next + size > self.small_end:
            self.small_next = self.pages(memory)
            self.small_end = self.small_next + PAGE
        if self.free.get(size):
            return self._take(memory, size, SMALL_ALIGNMENT)
        self.small_next += size
        return self.small_next - size

    def release(self, address: int, size: int) -> None:
        """Take back what `pages` (`size` in bytes) or `small` gave."""
        unit = SMALL_ALIGNMENT if size < PAGE else PAGE
        self.free.setdefault(-(-size // unit) * unit, []).append(address)

    def copy(self) -> Heap:
        """One of the same state that goes its own way."""
        other = Heap(self.next, self.end)
        other.small_next, other.small_end = self.small_next, self.small_end
        other.free = {size: addresses.copy() for size, addresses in self.free.items()}
        return other

    def state(self) -> HeapState:
        """All of it."""
        free = [[size, *where] for size, where in self.free.items()]
        return HeapState(self.next, self.end, self.small_next, self.small_end, free)

    @classmethod
    def restored(cls, state: HeapState) -> Heap:
        """The heap whose `state()` this is. Raises SimError if it is none."""
        if not all(state.free):
            raise SimError("this is no saved layout: a list of free places has no size")
        heap = cls(state.next, state.end)
        heap.small_next, heap.small_end = state.small_next, state.small_end
        heap.free = {size: where for size, *where in state.free}
        return heap

    def _take(self, memory: Memory, size: int, alignment: int) -> int:
        for position, address in enumerate(self.free.get(size, ())):
            if address % alignment == 0:
                memory.write(address, bytes(size))
                return self.free[size].pop(position)
        address = -(-self.next // alignment) * alignment
        if address + size > self.end:
            raise SimError(f"{size:#x} bytes more do not fit below {self.end >> 20} MiB; give the machine more memory")
        self.next = address + size
        return address
