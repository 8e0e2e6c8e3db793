"""Structures in simulated memory, written and read by a build's profile: what the layouts of all kernels stand on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from sim_backend.memory.errors import SimError
from sim_backend.memory.heap import Heap
from sim_backend.memory.memory import PAGE, Memory
from structs.xen.errors import ProfileError
from structs.xen.profile import Member, Profile


class StructureWriter(ABC):
    """Physical memory, a kernel's heap in it, and its structures. Addresses are physical unless a name says virtual.

    Raises SimError for symbols and members that the profile does not have, and for addresses outside.
    """

    def __init__(self, profile: Profile, memory: Memory, heap: Heap) -> None:
        self.profile = profile
        self.memory = memory
        self.heap = heap
        self._members: dict[tuple[str, str], Member] = {}

    @abstractmethod
    def virtual(self, physical: int) -> int:
        """The kernel's own address of a byte of memory."""

    @abstractmethod
    def physical(self, virtual: int) -> int:
        """The inverse of `virtual`."""

    def symbol(self, name: str) -> int:
        """Where a variable or a function is."""
        try:
            return self.physical(self.profile.symbol(name))
        except ProfileError as error:
            raise SimError(str(error)) from None

    def member(self, struct: str, path: str) -> int:
        """Bytes from the start of a structure to a member (`arch.hvm.vmx.pi_desc`)."""
        return self._member(struct, path).offset

    def size(self, struct: str) -> int:
        """Bytes of a structure."""
        try:
            return self.profile.size(struct)
        except ProfileError as error:
            raise SimError(str(error)) from None

    def put(self, struct: str, address: int, values: Mapping[str, int]) -> None:
        """Store members of the structure at `address`."""
        for path, value in values.items():
            member = self._member(struct, path)
            kind, place = member.type, address + member.offset
            if kind["kind"] == "bitfield":
                low, mask = kind["bit_position"], (1 << kind["bit_length"]) - 1
                old = int.from_bytes(self.memory.read(place, member.size), "little")
                value = old & ~(mask << low) | (value & mask) << low
            self.memory.write(place, (value & (1 << member.size * 8) - 1).to_bytes(member.size, "little"))

    def put_known(self, struct: str, address: int, values: Mapping[str, int]) -> None:
        """As `put`, but members that this build's profile does not have are left out."""
        self.put(struct, address, {path: value for path, value in values.items() if self.profile.has(struct, path)})

    def get(self, struct: str, address: int, path: str) -> int:
        """A member of the structure at `address`, as an unsigned number."""
        member = self._member(struct, path)
        value = int.from_bytes(self.memory.read(address + member.offset, member.size), "little")
        if member.type["kind"] == "bitfield":
            return value >> int(member.type["bit_position"]) & (1 << int(member.type["bit_length"])) - 1
        return value

    def set_variable(self, name: str, size: int, value: int) -> None:
        """Store a variable of `size` bytes, if this build's profile has it."""
        if self.profile.has_symbol(name):
            self.memory.write(self.symbol(name), value.to_bytes(size, "little"))

    def new(self, struct: str) -> int:
        """A zeroed structure on the heap."""
        return self.heap.small(self.memory, self.size(struct))

    def new_pages(self, count: int = 1, alignment: int = PAGE) -> int:
        """Zeroed pages on the heap."""
        return self.heap.pages(self.memory, count, alignment)

    def list_init(self, head: int) -> None:
        """Make a `struct list_head` an empty list."""
        own = self.virtual(head)
        self.memory.set_u64(head + self._next, own)
        self.memory.set_u64(head + self._prev, own)

    def list_add_tail(self, head: int, node: int) -> None:
        """Append a node to a list."""
        last = self.memory.u64(head + self._prev)
        self.memory.set_u64(node + self._next, self.virtual(head))
        self.memory.set_u64(node + self._prev, last)
        self.memory.set_u64(self.physical(last) + self._next, self.virtual(node))
        self.memory.set_u64(head + self._prev, self.virtual(node))

    def list_del(self, node: int) -> None:
        """Take a node off its list; its own pointers then lead to itself."""
        following, before = self.memory.u64(node + self._next), self.memory.u64(node + self._prev)
        self.memory.set_u64(self.physical(following) + self._prev, before)
        self.memory.set_u64(self.physical(before) + self._next, following)
        self.list_init(node)

    def list_nodes(self, head: int) -> list[int]:
        """The nodes of a sound list, in order."""
        nodes = []
        node = self.physical(self.memory.u64(head + self._next))
        while node != head:
            nodes.append(node)
            node = self.physical(self.memory.u64(node + self._next))
        return nodes

    @property
    def _next(self) -> int:
        return self.member("list_head", "next")

    @property
    def _prev(self) -> int:
        return self.member("list_head", "prev")

    def _member(self, struct: str, path: str) -> Member:
        known = self._members.get((struct, path))
        if known is None:
            try:
                known = self._members[struct, path] = self.profile.member(struct, path)
            except ProfileError as error:
                raise SimError(str(error)) from None
        return known
