"""Where a machine keeps the registers of its devices, and its tables of them, whoever runs on it."""

from __future__ import annotations

from sim_backend.layout import firmware, interrupts, vtd
from sim_backend.layout.devices import Device
from sim_backend.layout.vtd import VtdUnit
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import device_name


class Hardware:
    """Local APICs, IO-APICs, VT-d units and devices of a layout.

    Attributes:
        units: the VT-d units, the one that serves all other devices last.
        devices: by bus << 8 | devfn.
    """

    units: list[VtdUnit]
    devices: dict[int, Device]

    def lapic(self, cpu: int) -> int:
        """A page with the registers of a CPU's local APIC: ISR at 0x100, IRR at 0x200. No CPU can address it."""
        return interrupts.lapic(cpu)

    def register(self, unit: int, name: str) -> int:
        """A register of a VT-d unit, by its mnemonic; `FRCD` is the first fault recording register."""
        return vtd.register(self.units[unit], name)

    def irte(self, unit: int, index: int) -> int:
        """An entry of a unit's interrupt-remapping table."""
        return vtd.irte(self.units[unit], index)

    def rte(self, ioapic: int, pin: int) -> int:
        """A redirection entry of an IO-APIC, 8 bytes. It lies behind an index register: no CPU can address it."""
        return interrupts.rte(ioapic, pin)

    def unit_of(self, bdf: int) -> int:
        """The VT-d unit that serves a device, by the DMAR table."""
        number = (bdf >> 3) - firmware.FIRST_SCOPED_DEVICE
        return number if 0 <= number < len(self.units) - 1 and not bdf & 7 else len(self.units) - 1

    def device(self, bdf: int) -> Device:
        """A device that is there."""
        try:
            return self.devices[bdf]
        except KeyError:
            raise SimError(f"there is no device {device_name(bdf)}") from None
