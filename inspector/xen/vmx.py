"""The VMX part of a vCPU: its posted-interrupt descriptor, its list node, its VMCS; and its virtual local APIC.

Sources: `struct vmx_vcpu`, `struct pi_blocking_vcpu`, `struct vlapic`, `vlapic_get_reg`, `do_poll`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.kernels.descriptors import read_descriptors
from inspector.model.absence import Absence, unreadable
from inspector.model.snapshot import Vcpu
from inspector.xen.percpu import interruptible
from inspector.xen.xen import Xen
from structs.apic import IRR, ISR, PPR, TPR, VECTORS, vector_set
from structs.columns import Array
from structs.pi_desc import vectors
from structs.xen import variants

RFLAGS, POLL = "arch.user_regs.rflags", "poll_evtchn"
VMCS_SIZE = 0x1000


def with_vmx(xen: Xen, vcpus: Sequence[Vcpu], absent: list[Absence]) -> list[Vcpu]:
    """The vCPUs, those of hardware-virtualised domains with their VMX part; what cannot be read is told in
    `absent`."""
    vmx = variants.vmx(xen.profile)
    chosen = [vcpu for vcpu in vcpus if vcpu.hvm]
    if vmx is None or not chosen:
        return list(vcpus)
    made = _with_nodes(xen, vmx, _with_descriptors(xen, vmx, chosen, absent), absent)
    made = _with_vmcs(xen, vmx, _with_vlapic(xen, made))
    complete = {vcpu.name: vcpu for vcpu in made}
    return [complete.get(vcpu.name, vcpu) for vcpu in vcpus]


def _with_descriptors(xen: Xen, vmx: str, vcpus: list[Vcpu], absent: list[Absence]) -> list[Vcpu]:
    """With descriptors: physical addresses by one walk each, bytes in one go."""
    offset = xen.profile.offset("vcpu", f"{vmx}.pi_desc")
    places: dict[str, int] = {}
    for vcpu in vcpus:
        try:
            places[vcpu.name] = xen.memory.translate(vcpu.address + offset)
        except UNREADABLE:
            continue
    found = {
        descriptor.address: descriptor for descriptor in read_descriptors(xen.memory.target, list(places.values()))
    }
    made = []
    for vcpu in vcpus:
        descriptor = found.get(places.get(vcpu.name, -1))
        if descriptor is None:
            why = f"its PI descriptor, in the struct vcpu at {vcpu.address:#x}, cannot be read"
            absent.append(unreadable(vcpu.name, why, "pi", vcpu.address + offset))
        made.append(replace(vcpu, pi=descriptor))
    return made


def _with_nodes(xen: Xen, vmx: str, vcpus: list[Vcpu], absent: list[Absence]) -> list[Vcpu]:
    """With their list node, its pointers and the lock pointer."""
    paths = tuple(f"{vmx}.pi_blocking.{name}" for name in ("list.next", "list.prev", "lock"))
    offset = xen.profile.offset("vcpu", f"{vmx}.pi_blocking.list")
    rows = xen.structs("vcpu", [vcpu.address for vcpu in vcpus], *paths)
    made = []
    for vcpu, row in zip(vcpus, rows, strict=True):
        if row is None:
            why = f"its list node, in the struct vcpu at {vcpu.address:#x}, cannot be read"
            absent.append(unreadable(vcpu.name, why, "node", vcpu.address + offset))
        following, preceding, lock = (row[path] for path in paths) if row else (0, 0, 0)
        node = vcpu.address + offset
        made.append(replace(vcpu, node=node if row else 0, following=following, preceding=preceding, lock=lock))
    return made


def _with_vlapic(xen: Xen, vcpus: list[Vcpu]) -> list[Vcpu]:
    """With what their virtual local APICs hold, and whether they would take it, as far as it can be read."""
    vlapic = variants.vlapic(xen.profile)
    if vlapic is None:
        return vcpus
    regs, off = f"{vlapic}.regs", f"{vlapic}.hw.disabled"
    more = variants.optional(xen.profile, "vcpu", [off, RFLAGS, POLL])
    rows = xen.structs("vcpu", [vcpu.address for vcpu in vcpus], regs, *more)
    pages = [row[regs] if row else 0 for row in rows]
    parts = iter(xen.memory.read_parts([(page + TPR, IRR + VECTORS - TPR) for page in pages if page]))
    made = []
    for vcpu, row, page in zip(vcpus, rows, pages, strict=True):
        if row:
            vcpu = replace(
                vcpu,
                apic_off=bool(row[off]) if off in row else None,
                polling=bool(row[POLL]) if POLL in row else None,
                interruptible=interruptible(row.get(RFLAGS, 0)),
            )
        if page and (raw := next(parts)):
            vcpu = replace(vcpu, isr=_bits(raw, ISR), irr=_bits(raw, IRR), tpr=raw[0], ppr=raw[PPR - TPR])
        made.append(vcpu)
    return made


def _bits(raw: bytes, start: int) -> tuple[int, ...]:
    return tuple(vectors(vector_set(raw[start - TPR : start - TPR + VECTORS])))


def _with_vmcs(xen: Xen, vmx: str, vcpus: list[Vcpu]) -> list[Vcpu]:
    """With the descriptor's address that their VMCS pages hold.

    Where a processor keeps the field (VMCS encoding 0x2016) in the page is its own affair, so any aligned word that is
    the address of a known descriptor counts; the vCPU's own is preferred. None if there is none.
    """
    path = f"{vmx}.vmcs_pa"
    known = np.array(sorted(vcpu.pi.address for vcpu in vcpus if vcpu.pi), "<u8")
    if not xen.profile.has("vcpu", path) or not len(known):
        return vcpus
    rows = xen.structs("vcpu", [vcpu.address for vcpu in vcpus], path)
    places = [row[path] if row else 0 for row in rows]
    parts = iter(xen.memory.target.read_parts([(place, VMCS_SIZE) for place in places if place]))
    made = []
    for vcpu, place in zip(vcpus, places, strict=True):
        raw = next(parts) if place else None
        held = _held(np.frombuffer(raw, "<u8"), known) if raw else set()
        own = vcpu.pi.address if vcpu.pi else 0
        made.append(replace(vcpu, vmcs_pi=own if own in held else min(held)) if held else vcpu)
    return made


def _held(words: Array, known: Array) -> set[int]:
    """Those of the known addresses, ascending, that are among the words; np.intersect1d would load numpy.ma (15 ms)."""
    nearest = known[np.minimum(np.searchsorted(known, words), len(known) - 1)]
    return set(words[nearest == words].tolist())
