"""Structures in a kernel's memory: its profile and its address space, and the few ways in which they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from inspector.base.errors import VtdpiError
from inspector.kernels.paging import PageTables
from structs.columns import columns
from structs.frozen import frozen
from structs.xen.profile import POINTER_SIZE, Profile

LIST_LIMIT = 65536
FEW = 16
"""Structures, up to which it is quicker to take members out one by one than as columns."""


@frozen
class Structures:
    """A kernel in a target's memory. Virtual addresses are its own.

    Its methods raise NotMapped or NotReadable for memory that is not there, and structs.xen.profile.ProfileError for
    what the profile does not tell.
    """

    profile: Profile
    memory: PageTables

    def variable(self, name: str, size: int) -> int:
        """An unsigned variable of `size` bytes."""
        return int.from_bytes(self.memory.read(self.profile.symbol(name), size), "little")

    def pointer(self, name: str) -> int:
        """A pointer variable."""
        return self.variable(name, POINTER_SIZE)

    def array(self, name: str, size: int, count: int) -> list[int]:
        """The first `count` elements, of `size` bytes each, of an array variable."""
        return self.array_at(self.profile.symbol(name), size, count)

    def array_at(self, address: int, size: int, count: int) -> list[int]:
        """`count` unsigned numbers of `size` bytes each at a virtual address."""
        raw = self.memory.read(address, size * count)
        return [int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size)]

    def structs(self, struct: str, addresses: Sequence[int], *paths: str) -> list[dict[str, int] | None]:
        """Chosen members of many structures, read in one go; None for one that cannot be read.

        >>> xen.structs("vcpu", [0xffff83027bd2000], "vcpu_id", "processor")  # doctest: +SKIP
        [{'vcpu_id': 2, 'processor': 0}]
        """
        if not addresses:
            return []
        selection = self.profile.selection(struct, *paths)
        size = selection.record.size
        parts = self.memory.read_parts([(address + selection.offset & (1 << 64) - 1, size) for address in addresses])
        if len(parts) <= FEW:
            fields = {path: selection.record[path] for path in paths}
            numbers = [None if part is None else int.from_bytes(part, "little") for part in parts]
            return [None if n is None else {path: f.extract(n) for path, f in fields.items()} for n in numbers]
        rows = iter(_rows(columns(selection.record, b"".join(part for part in parts if part is not None), paths)))
        return [None if part is None else next(rows) for part in parts]

    def struct_array(self, struct: str, address: int, count: int, *paths: str) -> list[dict[str, int]]:
        """Chosen members of `count` structures that lie one after the other, read as one."""
        stride = self.profile.size(struct)
        selection = self.profile.selection(struct, *paths)
        whole = np.frombuffer(self.memory.read(address, stride * count), "u1").reshape(count, stride)
        chosen = whole[:, selection.offset : selection.offset + selection.record.size]
        return _rows(columns(selection.record, np.ascontiguousarray(chosen), paths))

    def list_nodes(self, head: int, limit: int = LIST_LIMIT) -> list[int]:
        """The nodes of a `struct list_head` list, in list order, without its head.

        Raises:
            BrokenList: it loops without passing its head, has more than `limit` nodes, or leaves readable memory.
        """
        following = self.profile.offset("list_head", "next")
        nodes: dict[int, None] = {}
        node = head
        while True:
            raw = self.memory.read_parts([(node + following, POINTER_SIZE)])[0]
            if raw is None:
                raise BrokenList(head, f"its node {node:#x} cannot be read", nodes)
            node = int.from_bytes(raw, "little")
            if node == head:
                return list(nodes)
            if node in nodes:
                raise BrokenList(head, f"it loops: node {node:#x} comes a second time", nodes)
            if len(nodes) == limit:
                raise BrokenList(head, f"it has more than {limit} nodes", nodes)
            nodes[node] = None


class BrokenList(VtdpiError):
    """A linked list that cannot be followed to its end. `nodes` are those up to there."""

    def __init__(self, head: int, why: str, nodes: Iterable[int]) -> None:
        super().__init__(f"the list at {head:#x} is broken: {why}")
        self.why = why
        self.nodes = list(nodes)


def _rows(table: dict[str, np.ndarray]) -> list[dict[str, int]]:
    values = zip(*(column.tolist() for column in table.values()), strict=True)
    return [dict(zip(table, row, strict=True)) for row in values]
