"""Whether an event waits for a vCPU: the first bytes of its `struct vcpu_info`, which it shares with Xen.

Only of paravirtualised ones, which take events by them: of others the local APIC and RFLAGS.IF have a say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inspector.model.snapshot import Vcpu
from inspector.xen.xen import Xen

PATHS = ("vcpu_info_area.map", "vcpu_info")
"""Of `struct vcpu`: the pointer to it, from 4.18 on and before."""

# uint8_t evtchn_upcall_pending, evtchn_upcall_mask.
SIZE = 2


def with_events(xen: Xen, vcpus: Sequence[Vcpu]) -> list[Vcpu]:
    """The vCPUs, with what waits for the paravirtualised ones; what cannot be read stays unknown."""
    path = next((path for path in PATHS if xen.profile.has("vcpu", path)), None)
    chosen = [vcpu for vcpu in vcpus if not vcpu.hvm]
    if path is None or not chosen:
        return list(vcpus)
    rows = xen.structs("vcpu", [vcpu.address for vcpu in chosen], path)
    infos = xen.memory.read_parts([(row[path] if row else 0, SIZE) for row in rows])
    told = {
        vcpu.name: replace(vcpu, event_pending=bool(raw[0]), event_masked=bool(raw[1]))
        for vcpu, row, raw in zip(chosen, rows, infos, strict=True)
        if row and row[path] and raw
    }
    return [told.get(vcpu.name, vcpu) for vcpu in vcpus]
