"""How APICs read a destination and a delivery mode: the same in an IRTE, a posted-interrupt descriptor and an MSI.

>>> apic_id(0x0300, x2apic=False), apic_id(0x0300, x2apic=True)
(3, 768)
>>> hex(from_apic_id(3, x2apic=False)), hex(reserved_bits(0x30001, x2apic=False))
('0x300', '0x30001')
"""

from __future__ import annotations

DELIVERY_MODES = {0: "fixed", 1: "lowest priority", 2: "SMI", 4: "NMI", 5: "INIT", 7: "ExtINT"}
DESTINATION_MODES = {0: "physical", 1: "logical"}
TRIGGER_MODES = {0: "edge", 1: "level"}

TPR, PPR, ISR, IRR, VECTORS = 0x80, 0xA0, 0x100, 0x200, 0x80
"""Where registers are in a local APIC's page, and the bytes of ISR and of IRR: 8 of 32 bits each, 16 bytes apart
(SDM volume 3, table 11-1)."""

XAPIC_DESTINATION = 0xFF00
"""Where a 32-bit destination holds the APIC ID while IRTA.EIME is 0; its other bits are reserved (VT-d 9.9, 9.11)."""


def apic_id(destination: int, x2apic: bool) -> int:
    """The APIC ID in a 32-bit DST or NDST; in logical mode (IRTE.DM=1) it is a set of CPUs. `x2apic` is IRTA.EIME.

    Reserved bits are left out: see `reserved_bits`.
    """
    return destination if x2apic else (destination & XAPIC_DESTINATION) >> 8


def from_apic_id(apic_id: int, x2apic: bool) -> int:
    """The 32-bit DST or NDST for an APIC ID: the inverse of `apic_id`.

    Raises:
        ValueError: the ID needs more than 32 bits, or more than the 8 bits of the xAPIC form.
    """
    bits = 32 if x2apic else 8
    if not 0 <= apic_id < 1 << bits:
        raise ValueError(f"APIC ID {apic_id:#x} does not fit the {bits} bits of {'x2APIC' if x2apic else 'xAPIC'} mode")
    return apic_id if x2apic else apic_id << 8


def reserved_bits(destination: int, x2apic: bool) -> int:
    """The bits of a DST or NDST that are set but reserved in this mode; hardware faults on them (0x24, 0x28)."""
    return 0 if x2apic else destination & ~XAPIC_DESTINATION


def vector_set(registers: bytes) -> int:
    """ISR or IRR as one number of 256 bits, of its VECTORS bytes in an APIC's page."""
    return int.from_bytes(b"".join(registers[at : at + 4] for at in range(0, VECTORS, 16)), "little")
