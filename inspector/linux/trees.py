"""Linux's trees of pointers by number: the XArray (of which the radix tree is one) and the maple tree.

Sources: include/linux/xarray.h, lib/xarray.c; include/linux/maple_tree.h, lib/maple_tree.c (mte_to_node,
mte_node_type).
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.base.errors import VtdpiError
from inspector.linux.linux import Linux
from structs.frozen import frozen
from structs.xen.errors import ProfileError
from structs.xen.profile import POINTER_SIZE

NODES_LIMIT = 1 << 16
SLOTS_LIMIT = 256
LEVELS_LIMIT = 24
LAST = (1 << 64) - 1

INTERNAL_MASK, INTERNAL = 3, 2
"""The low bits of an entry that is no pointer of the tree's user's."""
SMALLEST_NODE = 4096
"""From here on an internal entry is a node."""

NODE_MASK, TYPE_SHIFT, TYPE_MASK = 0xFF, 3, 0xF
DENSE, LEAF, RANGE, ARANGE = range(4)
"""The types of a maple tree's nodes."""


class BrokenTree(VtdpiError):
    """A tree that cannot be followed to its end. `entries` are those that were found all the same."""

    def __init__(self, address: int, why: str, entries: dict[int, int]) -> None:
        super().__init__(f"the tree at {address:#x} is broken: {why}")
        self.entries = entries


@frozen
class _Node:
    """A node to be read: its address, the first number under it, and what else its tree needs to know of it."""

    address: int
    first: int
    last: int
    kind: int


def xarray(linux: Linux, root: int) -> dict[int, int]:
    """The pointers of a `struct xarray`, by number, ascending.

    Raises:
        BrokenTree: a node cannot be read, or makes no sense.
        NotMapped, NotReadable, ProfileError: the root cannot be read.
    """
    (head,) = linux.array_at(root + linux.profile.offset("xarray", "xa_head"), POINTER_SIZE, 1)
    size, shift_at = linux.profile.size("xa_node"), linux.profile.offset("xa_node", "shift")
    slots_at, count = _array(linux, "xa_node", "slots")
    bits = count.bit_length() - 1
    found: dict[int, int] = {}
    nodes: list[_Node] = []
    if _is_node(head):
        nodes.append(_Node(head - INTERNAL, 0, LAST, 64))
    elif head and not head & INTERNAL_MASK:
        found[0] = head
    for raws in _levels(linux, root, nodes, size, found):
        for node, raw in raws:
            shift = raw[shift_at]
            if shift % bits or shift >= node.kind:
                raise BrokenTree(root, f"its node {node.address:#x} has shift {shift} under {node.kind}", found)
            for at in range(count):
                entry = _pointer(raw, slots_at + POINTER_SIZE * at)
                number = node.first + (at << shift)
                if _is_node(entry) and shift:
                    nodes.append(_Node(entry - INTERNAL, number, LAST, shift))
                elif entry and not entry & INTERNAL_MASK:
                    found[number] = entry
    return dict(sorted(found.items()))


def maple_tree(linux: Linux, root: int) -> dict[int, int]:
    """The pointers of a `struct maple_tree`, by the first number of the range that each stands for, ascending.

    Raises:
        BrokenTree: a node cannot be read, or makes no sense.
        NotMapped, NotReadable, ProfileError: the root cannot be read.
    """
    (head,) = linux.array_at(root + linux.profile.offset("maple_tree", "ma_root"), POINTER_SIZE, 1)
    places = {}
    for kind, struct in ((LEAF, "maple_range_64"), (RANGE, "maple_range_64"), (ARANGE, "maple_arange_64")):
        places[kind] = *_array(linux, struct, "pivot"), *_array(linux, struct, "slot")
    size = max(linux.profile.size("maple_range_64"), linux.profile.size("maple_arange_64"))
    found: dict[int, int] = {}
    nodes: list[_Node] = []
    if _is_node(head):
        nodes.append(_maple(head, 0, LAST))
    elif head and not head & INTERNAL_MASK:
        found[0] = head
    for raws in _levels(linux, root, nodes, size, found):
        for node, raw in raws:
            if node.kind not in places:
                raise BrokenTree(root, f"its node {node.address:#x} is of type {node.kind}", found)
            pivots_at, pivot_count, slots_at, slot_count = places[node.kind]
            first = node.first
            for at in range(slot_count):
                pivot = _pointer(raw, pivots_at + POINTER_SIZE * at) if at < pivot_count else 0
                last = pivot if pivot or (at == 0 and pivot_count) else node.last
                if not first <= last <= node.last:
                    raise BrokenTree(root, f"its node {node.address:#x} has pivot {last:#x} after {first:#x}", found)
                entry = _pointer(raw, slots_at + POINTER_SIZE * at)
                if node.kind != LEAF and entry > SMALLEST_NODE:
                    nodes.append(_maple(entry, first, last))
                elif node.kind == LEAF and entry and not entry & INTERNAL_MASK:
                    found[first] = entry
                if last == node.last:
                    break
                first = last + 1
    return dict(sorted(found.items()))


def _array(linux: Linux, struct: str, member: str) -> tuple[int, int]:
    """Where an array of pointers is in a node, and how many it has. Raises ProfileError if it is none in a node."""
    found = linux.profile.member(struct, member)
    count = found.size // POINTER_SIZE
    if not 1 < count <= SLOTS_LIMIT or found.offset + found.size > linux.profile.size(struct):
        raise ProfileError(f"struct {struct} of {linux.profile.name} has {count} elements of {member}")
    return found.offset, count


def _maple(entry: int, first: int, last: int) -> _Node:
    return _Node(entry & ~NODE_MASK, first, last, entry >> TYPE_SHIFT & TYPE_MASK)


def _levels(
    linux: Linux, root: int, nodes: list[_Node], size: int, found: dict[int, int]
) -> Iterator[list[tuple[_Node, bytes]]]:
    """The nodes with their bytes, level by level; `nodes` gets those of the next level."""
    seen: set[int] = set()
    for _ in range(LEVELS_LIMIT):
        if not nodes:
            return
        level, nodes[:] = list(nodes), []
        if len(seen) + len(level) > NODES_LIMIT or seen & {node.address for node in level}:
            raise BrokenTree(root, "a node comes a second time, or there are too many", found)
        seen |= {node.address for node in level}
        read: list[tuple[_Node, bytes]] = []
        parts = linux.memory.read_parts([(node.address, size) for node in level])
        for node, part in zip(level, parts, strict=True):
            if part is None:
                raise BrokenTree(root, f"its node {node.address:#x} cannot be read", found)
            read.append((node, part))
        yield read
    raise BrokenTree(root, f"it has more than {LEVELS_LIMIT} levels", found)


def _is_node(entry: int) -> bool:
    return entry & INTERNAL_MASK == INTERNAL and entry > SMALLEST_NODE


def _pointer(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + POINTER_SIZE], "little")
