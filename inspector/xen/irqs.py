"""Every irq as Xen keeps it: `irq_desc[]`, and the domains' `pirq_tree` with their event channels and guest MSIs.

What the debug key `i` prints is read here from memory (`dump_irqs`).

Sources: `struct irq_desc`, `struct hw_interrupt_type` (its name comes first), `irq_guest_action_t` (`nr_guests` and
`in_flight` come first), xen/lib/radix-tree.c, `struct pirq`, `struct hvm_pirq_dpci`, `pt_irq_create_bind`; the event
channels' ABIs: `struct shared_info` (64-bit), `struct
evtchn_fifo_domain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from inspector.base.errors import UNREADABLE, VtdpiError
from inspector.model.interrupts import Guest, Irq
from inspector.model.snapshot import Binding
from inspector.xen.interrupts import IRQS_LIMIT, VECTORS
from inspector.xen.xen import Xen
from structs.frozen import frozen
from structs.xen import variants
from structs.xen.pirq import DPCI, GUEST_MSI, INDIRECT, MAPPED, NODE_SLOTS, SLOT_COUNT

GUEST = 1 << 4
"""`irq_desc.status`: IRQ_GUEST, its `action` is an `irq_guest_action_t`."""

FREE = "none"
"""The name of `no_irq_type`: nobody has set the irq up."""

NAME_LIMIT = 32
POINTER = 8

# struct shared_info of a 64-bit guest: 32 vcpu_infos, then 4096 pending bits, then 4096 mask bits.
PENDING, MASK, PORTS = 32 * 64, 32 * 64 + 512, 4096
# event_word_t: one for each port, 1024 on a page of `evtchn_fifo->event_array[]`.
WORD, WORDS = 4, 1024
WORD_PENDING, WORD_MASKED = 1 << 31, 1 << 30
FIFO_PORTS = 1 << 17

# struct radix_tree_root { u32 height; node *rnode; }
ROOT_NODE = 8
HEIGHT_LIMIT = 3
"""64 ** 3 pirqs are more than a domain can have."""

PIRQS_LIMIT = 65536
BINDING = ("arch.irq", *(f"{DPCI}.{name}" for name in ("flags", "gmsi.dest_vcpu_id", "gmsi.posted")))


@frozen
class _Pirq:
    """A `struct pirq` that is bound: its domain, its numbers, and its event channel's port, 0 if it has none."""

    domain: int
    pirq: int
    irq: int
    port: int
    masked: bool


def irqs(xen: Xen, domains: Mapping[int, int]) -> tuple[list[Irq], list[tuple[int, Exception]]]:
    """Every irq that somebody has set up, and the domains whose pirqs could not be read. `domains`: address by number.

    Raises:
        NotMapped, NotReadable, ProfileError: the table of irqs cannot be read.
    """
    trouble: list[tuple[int, Exception]] = []
    count = min(xen.variable("nr_irqs", 4), IRQS_LIMIT)
    members = ("irq", "arch.vector", *variants.optional(xen.profile, "irq_desc"))
    descs = xen.struct_array("irq_desc", xen.pointer("irq_desc"), count, *members)
    names = _names(xen, {desc["handler"] for desc in descs if desc.get("handler")})
    used = [desc for desc in descs if _is_used(desc, names)]
    bound = _bound(xen, domains, trouble)
    flights = _in_flight(xen, [desc for desc in used if desc.get("status", 0) & GUEST])
    return [
        Irq(
            irq=desc["irq"],
            vector=desc["arch.vector"] if desc["arch.vector"] in VECTORS else None,
            type=names.get(desc.get("handler", 0)),
            status=desc.get("status"),
            affinity=_cpus(xen, desc, "affinity"),
            cpus=_cpus(xen, desc, "arch.cpu_mask"),
            in_flight=flights.get(desc["irq"]),
            guests=tuple(_guest(xen, domains, pirq) for pirq in bound.get(desc["irq"], ()))
            if desc.get("status", GUEST) & GUEST
            else (),
        )
        for desc in used
    ], trouble


def _is_used(desc: Mapping[str, int], names: Mapping[int, str | None]) -> bool:
    name = names.get(desc.get("handler", 0))
    return name != FREE if name is not None else desc["arch.vector"] in VECTORS


def _names(xen: Xen, handlers: Iterable[int]) -> dict[int, str | None]:
    """What each controller calls itself; None where that cannot be read."""
    found: dict[int, str | None] = {}
    for handler in handlers:
        try:
            (pointer,) = xen.array_at(handler, POINTER, 1)
            raw = xen.memory.read(pointer, NAME_LIMIT).split(b"\0")[0]
        except UNREADABLE:
            found[handler] = None
            continue
        found[handler] = raw.decode("ascii") if raw.isascii() and raw.decode("ascii").isprintable() else None
    return found


def _cpus(xen: Xen, desc: Mapping[str, int], member: str) -> tuple[int, ...] | None:
    """The CPUs of a `cpumask_var_t`: a pointer, or, with few CPUs, the mask itself."""
    if member not in desc:
        return None
    mask, count = desc[member], xen.variable("nr_cpu_ids", 4)
    if xen.profile.member("irq_desc", member).type["kind"] != "array":
        try:
            mask = int.from_bytes(xen.memory.read(mask, -(-min(count, 4096) // 64) * 8), "little")
        except UNREADABLE:
            return None
    return tuple(cpu for cpu in range(min(count, mask.bit_length())) if mask >> cpu & 1)


def _in_flight(xen: Xen, descs: list[dict[str, int]]) -> dict[int, int]:
    actions = xen.memory.read_parts([(desc["action"], 2) for desc in descs if "action" in desc])
    return {desc["irq"]: raw[1] for desc, raw in zip(descs, actions, strict=False) if raw}


def _bound(xen: Xen, domains: Mapping[int, int], trouble: list[tuple[int, Exception]]) -> dict[int, list[_Pirq]]:
    """By irq, the pirqs that domains have bound to it."""
    members = variants.optional(xen.profile, "pirq")
    found: dict[int, list[_Pirq]] = {}
    if "arch.irq" not in members or not xen.profile.has("domain", "pirq_tree"):
        return found
    for domain, address in domains.items():
        try:
            rows = xen.structs("pirq", pirqs(xen, address), *members)
        except UNREADABLE as error:
            trouble.append((domain, error))
            continue
        for row in rows:
            if row and (row.get("evtchn") or row.get(f"{DPCI}.flags", 0) & MAPPED):
                pirq = _Pirq(domain, row.get("pirq", 0), row["arch.irq"], row.get("evtchn", 0), bool(row.get("masked")))
                found.setdefault(pirq.irq, []).append(pirq)
    return found


def _guest(xen: Xen, domains: Mapping[int, int], pirq: _Pirq) -> Guest:
    guest = Guest(pirq.domain, pirq.pirq, pirq_masked=pirq.masked)
    if not pirq.port:
        return guest
    try:
        pending, masked = _channel(xen, domains[pirq.domain], pirq.port)
    except (*UNREADABLE, KeyError):
        return guest
    return replace(guest, pending=pending, masked=masked)


def _channel(xen: Xen, domain: int, port: int) -> tuple[bool | None, bool | None]:
    """Whether an event channel is pending, and whether it is masked."""
    if not xen.profile.has("domain", "evtchn_fifo"):
        return None, None
    (fifo,) = xen.array_at(domain + xen.profile.offset("domain", "evtchn_fifo"), POINTER, 1)
    if fifo:
        if port >= FIFO_PORTS:
            return None, None
        (page,) = xen.array_at(fifo + port // WORDS * POINTER, POINTER, 1)
        (word,) = xen.array_at(page + port % WORDS * WORD, WORD, 1)
        return bool(word & WORD_PENDING), bool(word & WORD_MASKED)
    if port >= PORTS:
        return None, None
    (shared,) = xen.array_at(domain + xen.profile.offset("domain", "shared_info"), POINTER, 1)
    pending, masked = (xen.array_at(shared + at + port // 8, 1, 1)[0] >> port % 8 & 1 for at in (PENDING, MASK))
    return bool(pending), bool(masked)


class BrokenTree(VtdpiError):
    """A radix tree that cannot be followed."""


def bindings(xen: Xen, domain: int) -> tuple[Binding, ...] | None:
    """A hardware-virtualised domain's guest MSIs; None if the profile does not tell. `domain` is its address.

    Raises:
        NotMapped, NotReadable, BrokenTree: the tree cannot be read.
    """
    vector = variants.guest_vector(xen.profile)
    described = all(xen.profile.has("pirq", member) for member in BINDING) and xen.profile.has("domain", "pirq_tree")
    if vector is None or not described:
        return None
    rows = xen.structs("pirq", pirqs(xen, domain), *BINDING, vector)
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
