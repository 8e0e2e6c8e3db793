"""Registers of a running Bochs, at places in its memory that were learnt by comparing with what its debugger shows.

Where a build keeps them is in no symbol; so nothing is assumed but that they are in the object that the exported
`bx_cpu_array` points to.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inspector.base.errors import TargetError
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.live.bochs_process import BochsProcess

WORDS = {"rip": "RIP", "rsp": "RSP", "cr3": "CR3", "vmcs": "VMX.vmcsptr"}
FLAGS = {"guest": "VMX.in_vmx_guest"}
"""Our names, and those of Bochs' parameters below `cpu0`: 8-byte words, and bytes that are 0 or 1."""
CPU_SIZE = 0x10000
"""What is looked at of a CPU's object (BX_CPU_C)."""

Places = Mapping[str, int]
"""Offsets in a CPU's object, by our names."""


LOOKS = 12
"""So many comparisons tell a place from one that holds the same by chance."""


class Learner:
    """Which offsets have always held what the debugger showed."""

    def __init__(self) -> None:
        self._looks = 0
        self._words = {name: np.ones(CPU_SIZE // 8, bool) for name in WORDS}
        self._flags = {name: np.ones(CPU_SIZE, bool) for name in FLAGS}
        self._seen: dict[str, set[int]] = {name: set() for name in (*WORDS, *FLAGS)}

    def look(self, process: BochsProcess, debugger: BochsDebugger) -> None:
        """Compare all CPUs of a machine that stands still. Raises TargetError."""
        self._looks += 1
        for number, place in enumerate(cpu_places(process)):
            image = process.read([(place, CPU_SIZE)])
            words, flags = np.frombuffer(image, "<u8"), np.frombuffer(image, "u1")
            for names, known, column in ((WORDS, self._words, words), (FLAGS, self._flags, flags)):
                for name, path in names.items():
                    group, _, field = f"cpu{number}.{path}".rpartition(".")
                    value = debugger.parameters(f"{group}.{field}").get(field)
                    if value is None:
                        raise TargetError(f"Bochs shows no {group}.{field}: another build than those known, 3.1")
                    self._seen[name].add(value)
                    known[name] &= column == value

    def places(self) -> dict[str, int] | None:
        """The offsets; None while they cannot be told from others."""
        if self._looks < LOOKS or any(len(seen) < 2 for seen in self._seen.values()):
            return None
        found = {name: np.flatnonzero(known) * 8 for name, known in self._words.items()}
        found |= {name: np.flatnonzero(known) for name, known in self._flags.items()}
        if any(not places.size for places in found.values()):
            raise TargetError("the registers of this Bochs are not where its CPUs are: another build than those known")
        # A flag that goes with another one, as that of a mode that only the guest uses, is told by where it is.
        near = found["vmcs"][0]
        return {
            name: int(min(places, key=lambda place: abs(place - near) * (name in FLAGS)))
            for name, places in found.items()
        }


def cpu_places(process: BochsProcess) -> tuple[int, ...]:
    """Where the CPUs' objects are."""
    count = process.unsigned(process.symbol("bx_cpu_count"), size=4)[0]
    return process.unsigned(process.unsigned(process.symbol("bx_cpu_array"))[0], count)


def read(process: BochsProcess, cpus: tuple[int, ...], places: Places) -> list[dict[str, int]]:
    """Each CPU's values at the learnt places."""
    wanted = [(cpu + place, 1 if name in FLAGS else 8) for cpu in cpus for name, place in places.items()]
    data = process.read(wanted)
    found: list[dict[str, int]] = []
    at = 0
    for _ in cpus:
        values = {}
        for name in places:
            size = 1 if name in FLAGS else 8
            values[name] = int.from_bytes(data[at : at + size], "little")
            at += size
        found.append(values)
    return found
