"""A guest's interrupts as Xen keeps them: a `struct pirq` for each MSI of its devices, in `domain.pirq_tree`.

Here a pirq has the number of its irq, and the tree has its nodes for all irqs from the start.

Sources: xen/lib/radix-tree.c, `struct pirq`, `struct hvm_pirq_dpci`, `pt_irq_create_bind`, `pt_irq_destroy_bind`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim_backend.layout.builder import LayoutBuilder
from structs.xen import variants
from structs.xen.pirq import (
    DPCI,
    GUEST_MSI,
    INDIRECT,
    MACH_MSI,
    MAPPED,
    NODE_COUNT,
    NODE_SLOTS,
    SLOT_COUNT,
)
from structs.xen.profile import POINTER_SIZE

NODE_SIZE = 576
"""A node and its slots, up to the next cache line."""


def described(ground: LayoutBuilder) -> bool:
    """Whether this build's profile tells how a pirq and the tree lie in memory."""
    profile = ground.profile
    told = profile.has("domain", "pirq_tree.rnode") and variants.guest_vector(profile) is not None
    return told and all(profile.has("pirq", member) for member in ("pirq", "arch.irq"))


def tree_size(irqs: int) -> int:
    """Bytes of a tree for so many irqs."""
    return sum(_levels(irqs)) * NODE_SIZE


def new_tree(ground: LayoutBuilder, domain: int, irqs: int) -> int:
    """An empty tree for the `struct domain` at this address; where its leaves begin, 0 if it cannot be described."""
    if not described(ground):
        return 0
    levels = _levels(irqs)
    start = ground.heap.small(ground.memory, tree_size(irqs))
    nodes = np.zeros((sum(levels), NODE_SIZE // POINTER_SIZE), "<u8")
    first = 0
    for height, count in enumerate(levels, 1):
        nodes[first : first + count, 0] = height
        if height < len(levels):
            child = np.arange(count, dtype="<u8")
            place = ground.virtual(start) + (first + child) * NODE_SIZE
            nodes[first + count + child // SLOT_COUNT, 1 + child % SLOT_COUNT] = place
        first += count
    nodes[:, 0] |= np.count_nonzero(nodes[:, 1:], axis=1).astype("<u8") << 32
    ground.memory.write(start, nodes.tobytes())
    root = ground.virtual(start + (len(nodes) - 1) * NODE_SIZE) | INDIRECT
    ground.put("domain", domain, {"pirq_tree.height": len(levels), "pirq_tree.rnode": root})
    return start


def new_pirqs(ground: LayoutBuilder, irqs: Sequence[int]) -> list[int]:
    """A `struct pirq` for each of these, in no tree; 0 if it cannot be described."""
    if not described(ground):
        return [0] * len(irqs)
    pirqs = [ground.new("pirq") for _ in irqs]
    for irq, pirq in zip(irqs, pirqs, strict=True):
        ground.put("pirq", pirq, {"pirq": irq, "arch.irq": irq})
    return pirqs


# What cannot be described has the address 0, and is not written.


def insert(ground: LayoutBuilder, leaves: int, irq: int, pirq: int) -> None:
    """Put a pirq into the tree with these leaves."""
    if leaves:
        _set_slot(ground, leaves, irq, ground.virtual(pirq), 1)


def delete(ground: LayoutBuilder, leaves: int, irq: int) -> None:
    """Take a pirq out of the tree with these leaves."""
    if leaves:
        _set_slot(ground, leaves, irq, 0, -1)


def bind(ground: LayoutBuilder, pirq: int, gvec: int, vcpu_id: int, posted: bool) -> None:
    """Note that an MSI is the guest's vector `gvec` for this vCPU, or for SEVERAL, and whether it is posted."""
    if pirq:
        gmsi = {"dest_vcpu_id": vcpu_id, "posted": posted}
        ground.put("pirq", pirq, {f"{DPCI}.flags": MACH_MSI | MAPPED | GUEST_MSI})
        ground.put_known("pirq", pirq, dict.fromkeys(variants.GUEST_VECTOR, gvec))
        ground.put_known("pirq", pirq, {f"{DPCI}.gmsi.{name}": value for name, value in gmsi.items()})


def unbind(ground: LayoutBuilder, pirq: int) -> None:
    """Note that an MSI is no vector of a guest any more."""
    if pirq:
        ground.put("pirq", pirq, {f"{DPCI}.flags": 0})


def _set_slot(ground: LayoutBuilder, leaves: int, irq: int, value: int, by: int) -> None:
    node = leaves + irq // SLOT_COUNT * NODE_SIZE
    ground.memory.set_u64(node + NODE_SLOTS + irq % SLOT_COUNT * POINTER_SIZE, value)
    ground.memory.set_u32(node + NODE_COUNT, ground.memory.u32(node + NODE_COUNT) + by)


def _levels(irqs: int) -> list[int]:
    """How many nodes there are on each level of a tree, from the leaves up."""
    levels = [-(-irqs // SLOT_COUNT)]
    while levels[-1] > 1:
        levels.append(-(-levels[-1] // SLOT_COUNT))
    return levels
