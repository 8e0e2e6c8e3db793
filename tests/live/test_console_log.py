"""A log taken from a live Xen with all keys says what its memory says, as far as the keys print it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inspector.analysis.interrupt import Interrupt
from inspector.analysis.irqs import interrupts
from inspector.capture.inspection import Inspection
from inspector.frontends.cli import main
from inspector.lab.lab import Lab
from inspector.model.snapshot import Snapshot
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.open_file import open_file

pytestmark = pytest.mark.live

KEYS = "VMizQq"
LOOKS = 5
"""The dom0 runs between its log and the look at its memory: what it changes all the time agrees in one of so many."""


def taken(lab: Lab, directory: Path) -> tuple[Path, Snapshot, Snapshot]:
    """A log of all keys, what it says, and what the machine's memory says right after."""
    log = directory / "console.log"
    log.write_text("".join(lab.keys(key) for key in KEYS))
    with open_file(log) as target:
        told = Inspection(target).snapshot
    with GdbMi(lab.gdb) as live:
        found = Inspection(live).snapshot
    return log, told, found


def row(interrupt: Interrupt, like: Interrupt) -> dict[str, Any]:
    """What both a log and memory can know of an interrupt; only what `like` knows as well."""
    state = interrupt.state
    known = {
        "irq": interrupt.irq,
        "unit": interrupt.unit,
        "index": interrupt.index,
        "vector": interrupt.vector,
        "source": (interrupt.source.ioapic, interrupt.source.pin, interrupt.source.bdf) if interrupt.source else None,
        "type": state.type if state else None,
        "status": state.status if state else None,
        "affinity": state.affinity if state else None,
        "cpus": interrupt.cpus,
        "in_flight": interrupt.in_flight,
        "guests": [(guest.domain, guest.pirq, guest.pirq_masked) for guest in interrupt.guests],
        "owner": interrupt.owner,
    }
    other = like.state
    if state and other and (state.type is None or other.type is None):
        del known["type"]
    return known


def vcpus_of(snapshot: Snapshot) -> list[tuple[str, bool, int | None, bool | None]]:
    """What both a log and memory know of each vCPU. A dom0 masks its events whenever it handles one."""
    return [(vcpu.name, vcpu.hvm, vcpu.pause_count, vcpu.event_masked) for vcpu in snapshot.vcpus]


def test_the_same_irqs_tables_and_vcpus(lab_dom0: Lab, tmp_path: Path) -> None:
    log, told, found = taken(lab_dom0, tmp_path)
    assert told.problems == ()

    by_log = {each.irq: each for each in interrupts(told) if each.irq is not None}
    by_memory = {each.irq: each for each in interrupts(found) if each.irq is not None}
    assert by_log.keys() == by_memory.keys()
    assert len(by_log) > 20
    for number, each in by_log.items():
        assert row(each, by_memory[number]) == row(by_memory[number], each)
    assert all(each.index is not None for each in by_log.values() if each.type.startswith("PCI-MSI"))

    for unit, other in zip(told.units, found.units, strict=True):
        assert (unit.index, unit.indices, unit.raw, unit.size, unit.eime) == (
            other.index,
            other.indices,
            other.raw,
            other.size,
            other.eime,
        )
    assert [(pin.ioapic, pin.pin, pin.index) for pin in told.pins] == [
        (pin.ioapic, pin.pin, pin.index) for pin in found.pins
    ]
    assert {at: value for at, value in enumerate(told.ioapics[0].redirection) if value is not None} == {
        at: value for at, value in enumerate(found.ioapics[0].redirection) if value is not None and value >> 48 & 1
    }
    flags = [(s.posted_intr_vector or 0, s.pi_wakeup_vector or 0, s.intremap) for s in (told, found)]
    assert flags[0] == flags[1]
    assert told.x2apic in (None, found.x2apic)  # where all destinations are 0, no key tells
    vcpus = vcpus_of(told), vcpus_of(found)
    for _ in range(LOOKS):
        if vcpus[0] == vcpus[1]:
            break
        vcpus = tuple(vcpus_of(snapshot) for snapshot in taken(lab_dom0, tmp_path)[1:])
    assert vcpus[0] == vcpus[1]
    assert {d.domain: sorted(d.devices) for d in told.domains} == {d.domain: sorted(d.devices) for d in found.domains}

    for command in ("irqs", "irt", "ioapic", "info", "vcpus", "audit"):
        assert main(["dump", str(log), command]) == 0, command
