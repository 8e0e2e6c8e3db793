"""A device's post made by hand, as a VT-d unit would: Bochs has none. This WRITES to the machine.

Source: VT-d specification 5.2.3: the vector's bit in PIR; then, unless a notification is on its way (ON) or suppressed
(SN), ON and an interrupt NV to the local APIC that NDST names.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np

from inspector.base.errors import TargetError
from inspector.capture.inspection import Inspection
from inspector.lab import LabError
from inspector.lab.hvm import switches
from inspector.lab.hvm.lab import HvmLab
from inspector.model.snapshot import Descriptor
from inspector.profiles.functions import SymbolFile
from inspector.targets.live.bochs import Bochs
from inspector.targets.live.bochs_registers import CPU_SIZE, cpu_places
from structs import apic
from structs.frozen import frozen
from structs.pi_desc import PI_DESC

LOWEST = 16
"""The vectors below are the processor's exceptions."""
ON_BYTE = PI_DESC["on"].low // 8
WORDS = 8
IRR_AT = 2 * WORDS
"""Of a local APIC in Bochs, in dwords: ISR, TMR and IRR come one after the other."""
LVT = 6
"""Entries of the local vector table, which tell a local APIC from other memory."""
APIC_SIZE = 0x400
HANDLER = "apic_timer_interrupt"
"""A function of Xen's in which an interrupt is in service."""
LOOKS = 20
PATIENCE = 60.0


@frozen
class Posted:
    """What a post did.

    Attributes:
        before: the descriptor.
        notified: the CPU that was sent the notification, and its vector; None if none was sent.
        why: in words.
    """

    before: Descriptor
    notified: tuple[int, int] | None
    why: str


def post(lab: HvmLab, name: str, vector: int) -> Posted:
    """Post a vector to a vCPU, `d1v0`.

    Raises:
        LabError: there is no such vCPU, vector or CPU.
        VtdpiError: the machine cannot be read.
    """
    if not LOWEST <= vector <= 0xFF:
        raise LabError(f"vector {vector:#x}: a device's interrupt has one from {LOWEST:#x} to 0xff")
    with Bochs(lab.machine()) as bochs:
        irr = _irr(bochs, lab.symbols)
        bochs.stop()
        snapshot = Inspection(bochs).snapshot
        vcpu = snapshot.by_name.get(name)
        if vcpu is None or vcpu.pi is None:
            names = ", ".join(each.name for each in snapshot.vcpus if each.pi) or "none"
            raise LabError(f"{name}: no vCPU with a posted-interrupt descriptor; there are {names}")
        pi = vcpu.pi
        place = pi.address + vector // 8
        bochs.ram.write(place, bytes([bochs.read(place, 1)[0] | 1 << vector % 8]))
        if pi.on or pi.sn:
            why = "ON=1: a notification is on its way" if pi.on else "SN=1: notifications are suppressed"
            return Posted(pi, None, why)
        place = pi.address + ON_BYTE
        bochs.ram.write(place, bytes([bochs.read(place, 1)[0] | 1]))
        apic_id = apic.apic_id(pi.ndst, bool(snapshot.x2apic))
        cpu = next((cpu.cpu for cpu in snapshot.cpus if cpu.apic_id == apic_id), None)
        if cpu is None:
            return Posted(pi, None, f"NDST {pi.ndst:#x} names no CPU: the notification is lost")
        word = irr[cpu] + 4 * (pi.nv // 32)
        pending = bochs.process.unsigned(word, size=4)[0] | 1 << pi.nv % 32
        bochs.process.write([(word, 4)], pending.to_bytes(4, "little"))
        return Posted(pi, (cpu, pi.nv), "ON=0 and SN=0")


def _irr(bochs: Bochs, symbols: Path) -> list[int]:
    """Where in Bochs' memory each CPU's local APIC has its IRR: found by comparing with what the debugger shows while
    an interrupt is in service. The machine runs for moments meanwhile."""
    bochs.stop()
    apics = [_object(bochs, number, place) for number, place in enumerate(cpu_places(bochs.process))]
    known = np.ones(APIC_SIZE // 4 - 3 * WORDS, bool)
    handler = SymbolFile(symbols).addresses.get(HANDLER)
    if handler is None:
        raise LabError(f"where Bochs keeps the local APICs cannot be learnt: this Xen has no symbol {HANDLER}")
    for _ in range(LOOKS):
        switches.breakpoint_at(bochs.debugger, handler, time.monotonic() + PATIENCE)
        for number, place in enumerate(apics):
            shown = _lapic(bochs.debugger.command(f'show "cpu{number}.local_apic"'))
            image = np.frombuffer(bochs.process.read([(place, APIC_SIZE)]), "<u4")
            for at, value in enumerate(shown):
                known &= image[at : at + known.size] == value
        if (found := np.flatnonzero(known)).size == 1:
            return [place + int(found[0] + IRR_AT) * 4 for place in apics]
    raise LabError("this Bochs keeps its local APICs otherwise than those known, 3.1")


def _object(bochs: Bochs, number: int, cpu: int) -> int:
    """The local APIC of a CPU: what its object points to and holds the local vector table that the debugger shows."""
    shown = bochs.debugger.parameters(f"cpu{number}.local_apic")
    try:
        table = np.array([shown[f"lvt{entry}"] for entry in range(LVT)], "<u4").tobytes()
    except KeyError:
        raise LabError("Bochs shows no local APIC as expected: another build than those known, 3.1") from None
    for pointer in bochs.process.unsigned(cpu, CPU_SIZE // 8):
        if not pointer >> 16 or pointer >> 47 or pointer % 8:
            continue
        try:
            image = bochs.process.read([(pointer, APIC_SIZE)])
        except TargetError:
            continue
        # Others point to what lies just before it.
        if table in image and image.index(table) < APIC_SIZE // 4:
            return pointer
    raise LabError("this Bochs keeps its local APICs elsewhere than at its CPUs: another build than those known, 3.1")


def _lapic(text: str) -> list[int]:
    """ISR, TMR and IRR as `show` prints them."""
    found = {name: int(value, 16) for name, value in re.findall(r"\b((?:isr|tmr|irr)\d) = (0x[0-9a-f]+)", text)}
    try:
        return [found[f"{name}{number}"] for name in ("isr", "tmr", "irr") for number in range(WORDS)]
    except KeyError:
        raise LabError("Bochs shows no local APIC as expected: another build than those known, 3.1") from None
