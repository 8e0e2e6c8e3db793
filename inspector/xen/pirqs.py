"""The interrupts that a domain has bound: its `pirq_tree`, and in it the guest MSIs of passed-through devices.

Sources: xen/lib/radix-tree.c, `struct pirq`, `struct hvm_pirq_dpci`, `pt_irq_create_bind`.
"""

from __future__ import annotations

from inspector.base.errors import VtdpiError
from inspector.model.snapshot import Binding
from inspector.xen.xen import Xen
from structs.xen import variants
from structs.xen.pirq import DPCI, GUEST_MSI, INDIRECT, MAPPED, NODE_SLOTS, SLOT_COUNT

# struct radix_tree_root { u32 height; node *rnode; }
ROOT_NODE, POINTER = 8, 8
HEIGHT_LIMIT = 3
"""64 ** 3 pirqs are more than a domain can have."""

PIRQS_LIMIT = 65536
MEMBERS = ("arch.irq", *(f"{DPCI}.{name}" for name in ("flags", "gmsi.dest_vcpu_id", "gmsi.posted")))


class BrokenTree(VtdpiError):
    """A radix tree that cannot be followed."""


def bindings(xen: Xen, domain: int) -> tuple[Binding, ...] | None:
    """A hardware-virtualised domain's guest MSIs; None if the profile does not tell. `domain` is its address.

    Raises:
        NotMapped, NotReadable, BrokenTree: the tree cannot be read.
    """
    vector = variants.guest_vector(xen.profile)
    described = all(xen.profile.has("pirq", member) for member in MEMBERS) and xen.profile.has("domain", "pirq_tree")
    if vector is None or not described:
        return None
    rows = xen.structs("pirq", pirqs(xen, domain), *MEMBERS, vector)
    wanted = MAPPED | GUEST_MSI
    return tuple(
        Binding(
            row["arch.irq"],
            row[vector] & 0xFF,
            -1 if row[f"{DPCI}.gmsi.dest_vcpu_id"] >> 31 else row[f"{DPCI}.gmsi.dest_vcpu_id"],
            bool(row[f"{DPCI}.gmsi.posted"]),
        )
        for row in rows
        if row and row[f"{DPCI}.flags"] & wanted == wanted
    )


def pirqs(xen: Xen, domain: int) -> list[int]:
    """The addresses of a domain's `struct pirq`, in the order of their numbers.

    Raises:
        NotMapped, NotReadable, BrokenTree: the tree cannot be read.
    """
    root = domain + xen.profile.offset("domain", "pirq_tree")
    (height,), (node,) = xen.array_at(root, 4, 1), xen.array_at(root + ROOT_NODE, POINTER, 1)
    if not node & INDIRECT:
        return [node] if node else []
    if height > HEIGHT_LIMIT:
        raise BrokenTree(f"the tree of pirqs at {root:#x} claims to be {height} levels high")
    level = [node & ~INDIRECT]
    for _ in range(height):
        parts = xen.memory.read_parts([(at + NODE_SLOTS, SLOT_COUNT * POINTER) for at in level])
        if None in parts:
            raise BrokenTree(f"the tree of pirqs at {root:#x} leaves readable memory")
        words = b"".join(part for part in parts if part is not None)
        slots = (int.from_bytes(words[at : at + POINTER], "little") for at in range(0, len(words), POINTER))
        level = [slot for slot in slots if slot]
        if len(level) > PIRQS_LIMIT:
            raise BrokenTree(f"the tree of pirqs at {root:#x} has more than {PIRQS_LIMIT} entries")
    return level
