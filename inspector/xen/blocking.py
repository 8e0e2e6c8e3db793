"""The per-CPU lists of blocked vCPUs, `vmx_pi_blocking`, in list order and with their integrity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inspector.model.snapshot import BlockingList, Cpu, Node, Vcpu
from inspector.xen.xen import Xen

VARIABLE = "per_cpu__vmx_pi_blocking"
STRUCT = "vmx_pi_blocking_vcpu"
TICKETS = (1 << 16) - 1
SPARE = 64
"""Nodes that a list may have beyond one for each vCPU before it is said not to end."""


def lists(xen: Xen, cpus: Sequence[Cpu], vcpus: Sequence[Vcpu]) -> list[BlockingList]:
    """The list of each CPU that has a per-CPU area. What breaks a list is told in it.

    Raises:
        ProfileError: this build has no such lists (before 4.7), or its profile does not tell.
    """
    symbol = xen.profile.symbol(VARIABLE)
    link, lock = xen.profile.offset(STRUCT, "list"), xen.profile.offset(STRUCT, "lock")
    places = {cpu.cpu: symbol + cpu.offset for cpu in cpus if cpu.offset is not None}
    rows = xen.structs(STRUCT, list(places.values()), "list.next", "list.prev", "lock")
    known = {vcpu.node: vcpu for vcpu in vcpus if vcpu.node}
    found = []
    for (cpu, place), row in zip(places.items(), rows, strict=True):
        if row is None:
            found.append(BlockingList(cpu, place + link, place + lock, False, 0, 0, (), "its head cannot be read"))
            continue
        tickets = row["lock"] & (1 << 32) - 1
        # A ticket lock is free while the ticket served is the next one to be drawn (struct spinlock).
        held = tickets >> 16 != tickets & TICKETS
        head = BlockingList(cpu, place + link, place + lock, held, row["list.next"], row["list.prev"])
        if head.following:  # a list that was never set up is all zero
            head = _walk(xen, head, known)
        found.append(head)
    return found


def _walk(xen: Xen, empty: BlockingList, known: dict[int, Vcpu]) -> BlockingList:
    nodes: dict[int, Node] = {}
    address = empty.following
    broken = None
    while address != empty.head:
        if address in nodes:
            broken = f"it loops: node {address:#x} comes a second time"
        elif len(nodes) >= len(known) + SPARE:
            broken = f"it has over {len(nodes)} nodes, more than there are vCPUs"
        elif (node := _node(xen, address, known)) is None:
            broken = f"its node {address:#x} cannot be read"
        if broken or node is None:
            break
        nodes[address] = node
        address = node.following
    return replace(empty, nodes=tuple(nodes.values()), broken=broken)


def _node(xen: Xen, address: int, known: dict[int, Vcpu]) -> Node | None:
    if vcpu := known.get(address):
        return Node(address, vcpu.name, vcpu.following, vcpu.preceding)
    row = xen.structs("list_head", [address], "next", "prev")[0]
    return Node(address, None, row["next"], row["prev"]) if row else None
