"""Store buffers: what a CPU stores becomes visible to others later, though in order (Intel SDM volume 3, "Memory
Ordering in P6 and More Recent Processor Families").

A plain store goes to the end of the CPU's own buffer, and its own loads see it there. Later it leaves for memory, the
oldest store first: that is a move of its own. A load may so overtake an older store; nothing else is reordered.

A buffer is empty after what x86 orders by, and after what Xen does to order it:
  a locked operation, which taking a lock is too (releasing one is a plain store),
  an interrupt sent (`send_IPI_mask` has a barrier, and a store to the xAPIC is in order with the others),
  IRET,
  clearing `is_running` (`unit_context_saved` has a barrier, before it looks for a migration),
  what is done under the scheduler's lock, which here is one step: who takes the lock next has seen it released.
VM entry and VM exit are no barriers by the manual. Here they are, and the guest's own stores are not delayed either: so
every reordering that is found can happen, but not all that can happen is found. Devices, VT-d units and the toolstack
have no buffers. What Xen keeps in memory but the machine elsewhere (`current`, `curr_vcpu`, `irq_count`, what the
scheduler chose) is only shown in memory, and that at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sim_backend.logic.context import BUFFERED, CPU, Context
from sim_backend.logic.program import Actor, ActorId, ActorKind
from sim_backend.logic.state import State, Store
from sim_backend.memory.memory import Memory, Observer, SeenMemory

NOBODY = -1


class BufferedMemory(SeenMemory):
    """Memory as the machine's procedures see it: with the stores that the CPU which moves has not let go of yet.

    Attributes:
        memory: what all others see.
        state: whose buffers they are.
        cpu: which CPU moves, or NOBODY: then this is `memory`.
    """

    __slots__ = ("cpu", "memory", "state")

    def __init__(self, memory: Memory, state: State) -> None:
        self.memory = memory
        self.state = state
        self.cpu = NOBODY

    @property
    def size(self) -> int:  # type: ignore[override]
        """Bytes of RAM below 4 GiB."""
        return self.memory.size

    @property
    def high(self) -> int:  # type: ignore[override]
        """Bytes of RAM above."""
        return self.memory.high

    @property
    def observer(self) -> Observer | None:
        return self.memory.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self.memory.observer = observer

    def fence(self) -> None:
        """Let go of all stores of the CPU that moves."""
        if self.cpu != NOBODY:
            for store in take_all(self.state.buffers[self.cpu]):
                apply(self.memory, store)

    def drain(self, cpu: int) -> None:
        """Let go of a CPU's oldest store."""
        apply(self.memory, self.state.buffers[cpu].pop(0))

    def read(self, address: int, size: int) -> bytes:
        data = self.memory.read(address, size)
        stores = self.state.buffers[self.cpu] if self.cpu != NOBODY else ()
        if not any(place < address + size and address < place + length for place, length, _ in stores):
            return data
        seen = bytearray(data)
        for place, length, value in stores:
            stored = value.to_bytes(length, "little")
            first, last = max(address, place), min(address + size, place + length)
            if first < last:
                seen[first - address : last - address] = stored[first - place : last - place]
        return bytes(seen)

    def write(self, address: int, data: bytes) -> None:
        if self.cpu == NOBODY:
            self.memory.write(address, data)
        else:
            self._store(address, len(data), int.from_bytes(data, "little"))

    def _store(self, address: int, size: int, value: int) -> None:
        if self.cpu == NOBODY:
            apply(self.memory, (address, size, value))
            return
        if not self.memory.has(address, size) or not 0 <= value < 1 << 8 * size:
            raise self.memory._no_number(address, size, value)
        self.state.buffers[self.cpu].append((address, size, value))

    def test_and_set_bit(self, address: int, bit: int) -> bool:
        self.fence()
        return self.memory.test_and_set_bit(address, bit)

    def test_and_clear_bit(self, address: int, bit: int) -> bool:
        self.fence()
        return self.memory.test_and_clear_bit(address, bit)

    def add_u32(self, address: int, value: int) -> int:
        self.fence()
        return self.memory.add_u32(address, value)

    def xchg_u64(self, address: int, value: int) -> int:
        self.fence()
        return self.memory.xchg_u64(address, value)

    def cmpxchg_u64(self, address: int, old: int, new: int) -> int:
        self.fence()
        return self.memory.cmpxchg_u64(address, old, new)

    def cmpxchg_u128(self, address: int, old: int, new: int) -> int:
        self.fence()
        return self.memory.cmpxchg_u128(address, old, new)

    def add(self, start: int, size: int) -> None:
        self.memory.add(start, size)

    def copy(self) -> Memory:
        """A copy of what all see."""
        return self.memory.copy()

    def digest(self) -> bytes:
        return self.memory.digest()

    def used_pages(self) -> Iterable[tuple[int, bytes]]:
        return self.memory.used_pages()

    def has(self, address: int, size: int) -> bool:
        return self.memory.has(address, size)

    def __eq__(self, other: object) -> bool:
        return self.memory == (other.memory if isinstance(other, BufferedMemory) else other)

    __hash__ = None  # type: ignore[assignment]


def take_all(buffer: list[Store]) -> list[Store]:
    """Empty a buffer."""
    stores = buffer.copy()
    buffer.clear()
    return stores


def apply(memory: Memory, store: Store) -> None:
    """Do a store."""
    address, size, value = store
    if size == 1:
        memory.set_u8(address, value)
    elif size == 2:
        memory.set_u16(address, value)
    elif size == 4:
        memory.set_u32(address, value)
    elif size == 8:
        memory.set_u64(address, value)
    else:
        memory.write(address, value.to_bytes(size, "little"))


@dataclass(slots=True, eq=False)
class StoreBuffer(Actor):
    """A CPU's store buffer, as far as it acts on its own: it lets go of the oldest store."""

    @classmethod
    def of(cls, number: int) -> StoreBuffer:
        """The store buffer of the CPU of that number."""
        who = ActorId(ActorKind.STORE_BUFFER, number)
        return cls(who, f"{who.kind} {number}")

    def turn(self, w: Context) -> bool:
        """Let go of one store; False if there is none."""
        cpu = self.id.number
        stores = w.state.buffers[cpu]
        if not stores or w.buffered is None:
            return False
        address, size, _ = stores[0]
        w.buffered.drain(cpu)
        w.words = ("store buffer", f"a store of {size} bytes at {address:#x} becomes visible to all")
        w.effect = (CPU, cpu, BUFFERED, len(stores) + 1, len(stores))
        return True
