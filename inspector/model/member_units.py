"""In what the numbers of the documents are counted, by member: schemas tell it as `x-unit`."""

from __future__ import annotations

from collections.abc import Mapping

UNITS: Mapping[str, str] = {
    **dict.fromkeys(("memory", "size", "descriptor_size", "length", "bytes_per_state"), "bytes"),
    **dict.fromkeys(("Table.size", "UnitInfo.size", "entry_count", "posted_count"), "entries"),
    "slots": "descriptors",
    **dict.fromkeys(("head", "tail", "slot"), "slot of the queue"),
    **dict.fromkeys(("seconds", "stopped_seconds"), "seconds"),
    "Hit.time": "seconds or steps, as `time_unit` says",
    **dict.fromkeys(("step", "history_step", "step_count", "later"), "steps"),
    **dict.fromkeys(("base", "limit", "register_base", "page_table", "phys_start"), "physical address"),
    **dict.fromkeys(("pi_desc", "pda", "status_address", "rta", "iqa", "irta"), "physical address"),
    **dict.fromkeys(("Descriptor.address", "OneEntry.address", "Dmar.address", "Pi.address"), "physical address"),
    **dict.fromkeys(("head_address", "nodes", "Linux.address", "rip", "rsp"), "virtual address"),
    "Absent.address": "physical or virtual address, as `why` says",
    "Failure.address": "physical address",
    "FaultKind.address": "address of the DMA request",
    **dict.fromkeys(("cpu", "blocking_list", "affinity", "Irq.cpus"), "number of a CPU"),
    **dict.fromkeys(("apic_id", "ioapic_id"), "APIC ID"),
    "ndst": "APIC ID; in xAPIC mode in bits 15 to 8",
    **dict.fromkeys(("vector", "guest_vector", "nv", "pir", "isr", "PhysicalCpu.irr"), "vector"),
    **dict.fromkeys(("posted_intr_vector", "pi_wakeup_vector"), "vector"),
    **dict.fromkeys(("pause_flags", "status", "reserved"), "bits"),
    "host_address_width": "bits of an address",
    "domain_id": "number of a domain",
    "vcpu_id": "number of a vCPU in its domain",
    "unit": "number of a VT-d unit",
    "index": "index of an entry in the remapping table",
    "irq": "irq of the host",
    "pirq": "pirq of the domain",
    "ioapic": "number of an IO-APIC",
    "pin": "pin of the IO-APIC",
    "segment": "PCI segment",
}
"""By the member's name, or `Type.member` where a name is counted otherwise in one type than in the others."""


def unit_of(kind: str, member: str) -> str | None:
    """The unit of a type's member; None if it has none, such as a count of things that its name says."""
    return UNITS.get(f"{kind}.{member}") or UNITS.get(member)
