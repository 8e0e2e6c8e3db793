"""What a layout's `state()` holds, as types: what a file says that it is, is held against them."""

from __future__ import annotations

from sim_backend.layout.devices import Msi
from sim_backend.layout.vtd import VtdUnit
from sim_backend.memory.heap import HeapState
from structs.frozen import frozen


@frozen
class SavedCpus:
    """By CPU, where its area and its stack are."""

    areas: list[tuple[int, int]]
    stacks: list[tuple[int, int]]


@frozen
class SavedLayout:
    """What memory alone does not tell.

    Attributes:
        vcpu_heap: where it is another one than the heap.
        idle, idle_domain: the idle domain's vCPUs and its address.
        domains: number, and what a `Domain` has.
        units, free_irqs, first_free: as `Layout` has them.
        devices: number, address, and the MSIs.
    """

    heap: HeapState
    cpus: SavedCpus
    idle: tuple[int, ...]
    idle_domain: int
    domains: list[tuple[int, int, tuple[int, ...], bool, int]]
    units: list[VtdUnit]
    free_irqs: list[int]
    first_free: list[int]
    devices: list[tuple[int, int, tuple[Msi, ...]]]
    vcpu_heap: HeapState | None = None
