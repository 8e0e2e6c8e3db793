"""Xen's domains and vCPUs: run state, posting hooks, PCI devices, waiting events.

Sources: `domain_list`, `struct domain`, `struct vcpu`, `vmx_pi_hooks_assign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inspector.base.errors import UNREADABLE
from inspector.kernels.paging import PAGE
from inspector.kernels.structures import BrokenList
from inspector.model.absence import Absence, unreadable
from inspector.model.snapshot import NOT_KNOWN, Domain, Vcpu
from inspector.xen.irqs import bindings
from inspector.xen.vmx import with_vmx
from inspector.xen.xen import Xen
from structs.xen import variants

VCPUS_LIMIT = 8192
ALL_VCPUS_LIMIT = 65536
DEVICES_LIMIT = 4096
EXAMPLES = 4
"""Of broken vCPUs of one domain, how many are told one by one."""

CDF_HVM = 1
RUNSTATE = ("runstate.state", "runstate.state_entry_time")
RUNSTATES = {0: "running", 1: "runnable", 2: "blocked", 3: "offline"}
LOOKS = 3
"""How often a run state is read that is found while it is being written."""

VCPU_INFO = ("vcpu_info_area.map", "vcpu_info")
"""Of `struct vcpu`: the pointer to what it shares with Xen, from 4.18 on and before."""

# uint8_t evtchn_upcall_pending, evtchn_upcall_mask.
EVENT_SIZE = 2


def domains(xen: Xen) -> tuple[list[Domain], list[Vcpu], list[Absence]]:
    """Every domain and vCPU in Xen's order, and what is wrong with them.

    Raises:
        NotMapped, NotReadable, ProfileError: not even the list's head can be read.
    """
    absent: list[Absence] = []
    hooks = variants.hooks(xen.profile)
    basics = ("domain_id", "max_vcpus", "vcpu", "next_in_list", "options", "is_dying", "pause_count")
    found: dict[int, dict[str, int]] = {}
    # Xen keeps the list in the order of domain ids (domain_create): one that does not end is soon noticed.
    address, last = xen.pointer("domain_list"), -1
    while address:
        # A struct domain begins a page: by alloc_domain_struct, and since 4.22 by its type (63137a8731).
        if address % PAGE:
            why = f"the list of domains is broken: it leads to {address:#x}, where no page begins and so no domain"
            absent.append(unreadable("domains", why, address=address))
            break
        row = xen.structs("domain", [address], *basics, *hooks)[0]
        if row is None:
            absent.append(
                unreadable("domains", f"the list of domains leaves readable memory at {address:#x}", address=address)
            )
            break
        if row["domain_id"] <= last:
            why = f"the list of domains is broken: domain {row['domain_id']} at {address:#x} comes after domain {last}"
            absent.append(unreadable("domains", why, address=address))
            break
        found[address], last = row, row["domain_id"]
        address = row["next_in_list"]
    made = [
        Domain(row["domain_id"], at, bool(row["options"] & CDF_HVM), row["pause_count"], row["is_dying"])
        for at, row in found.items()
    ]
    installed = {at: _hooks(hooks, row) for at, row in found.items()}
    vcpus = _vcpus(xen, list(zip(made, found.values(), strict=True)), installed, absent)
    complete = [_with_bindings(xen, _with_devices(xen, domain, absent), absent) for domain in made]
    return complete, vcpus, absent


def _vcpus(
    xen: Xen, rows: list[tuple[Domain, dict[str, int]]], hooks: dict[int, tuple[str, ...]], absent: list[Absence]
) -> list[Vcpu]:
    wanted: list[tuple[Domain, int, int]] = []
    for domain, row in rows:
        count = row["max_vcpus"]
        if count > VCPUS_LIMIT:
            why = f"d{domain.domain} claims {count} vCPUs; {VCPUS_LIMIT} is the most that Xen allows"
            absent.append(unreadable(f"d{domain.domain}", why, "vcpus", row["vcpu"]))
            continue
        if count and len(wanted) + count <= ALL_VCPUS_LIMIT:
            try:
                array = xen.array_at(row["vcpu"], 8, count)
            except UNREADABLE as error:
                why = f"d{domain.domain}'s array of {count} vCPUs: {error}"
                absent.append(unreadable(f"d{domain.domain}", why, "vcpus", row["vcpu"]))
                continue
            wanted += [(domain, number, at) for number, at in enumerate(array) if at]
    return _read_vcpus(xen, wanted, hooks, absent)


def _read_vcpus(
    xen: Xen, wanted: list[tuple[Domain, int, int]], hooks: dict[int, tuple[str, ...]], absent: list[Absence]
) -> list[Vcpu]:
    more = variants.optional(xen.profile, "vcpu", ["dirty_cpu", variants.RUNSTATE_SEQ])
    members = ("vcpu_id", "domain", "processor", "is_running", "pause_flags", "pause_count", *RUNSTATE, *more)
    # A struct vcpu is a page of its own (alloc_vcpu_struct): what is not page-aligned is none.
    rows = iter(_structs(xen, [at for _, _, at in wanted if not at % PAGE], members))
    bad: dict[int, list[Absence]] = {}
    vcpus = []
    for domain, number, at in wanted:
        row = None if at % PAGE else next(rows)
        if wrong := _wrong(row, domain, number):
            name = f"d{domain.domain}v{number}"
            why = f"its struct vcpu at {at:#x} {wrong}"
            bad.setdefault(domain.domain, []).append(unreadable(name, why, address=at))
        elif row:
            vcpus.append(
                Vcpu(
                    domain=domain.domain,
                    vcpu=number,
                    address=at,
                    hvm=domain.hvm,
                    cpu=row["processor"],
                    runstate=_runstate(row),
                    is_running=bool(row["is_running"]),
                    pause_flags=row["pause_flags"],
                    pause_count=row["pause_count"] + domain.pause_count,
                    dirty_cpu=row.get("dirty_cpu"),
                    since=None if _being_written(row) else row["runstate.state_entry_time"],
                    hooks=hooks[domain.address] if domain.hvm else (),
                )
            )
    for number, wrong_ones in bad.items():
        absent += wrong_ones[:EXAMPLES]
        if len(wrong_ones) > EXAMPLES:
            absent.append(unreadable(f"d{number}", f"and {len(wrong_ones) - EXAMPLES} more like these", "vcpus"))
    return with_events(xen, with_vmx(xen, vcpus, absent))


def _structs(xen: Xen, addresses: list[int], members: tuple[str, ...]) -> list[dict[str, int] | None]:
    """The vCPUs' members; read again where a run state was being written, for the machine may go on meanwhile."""
    rows = xen.structs("vcpu", addresses, *members)
    for _ in range(LOOKS - 1):
        torn = [number for number, row in enumerate(rows) if row and _being_written(row)]
        again = xen.structs("vcpu", [addresses[number] for number in torn], *members)
        for number, row in zip(torn, again, strict=True):
            rows[number] = row
    return rows


def _being_written(row: dict[str, int]) -> bool:
    """Whether a CPU is writing this run state: its sequence count is odd (seqcount_t)."""
    return bool(row.get(variants.RUNSTATE_SEQ, 0) & 1)


def _runstate(row: dict[str, int]) -> str:
    if _being_written(row):
        return NOT_KNOWN
    return RUNSTATES.get(row["runstate.state"], f"{NOT_KNOWN} {row['runstate.state']}")


def _wrong(row: dict[str, int] | None, domain: Domain, number: int) -> str | None:
    if row is None:
        return "cannot be read"
    if row["vcpu_id"] != number or row["domain"] != domain.address:
        return f"is no such vCPU: it says vCPU {row['vcpu_id']} of the domain at {row['domain']:#x}"
    return None


def _with_devices(xen: Xen, domain: Domain, absent: list[Absence]) -> Domain:
    """The domain with its PCI devices (`pdev_list`)."""
    try:
        head = domain.address + xen.profile.offset("domain", "pdev_list")
        link = xen.profile.offset("pci_dev", "domain_list")
        try:
            nodes = xen.list_nodes(head, DEVICES_LIMIT)
        except BrokenList as error:
            why = f"d{domain.domain}'s list of PCI devices: {error}"
            absent.append(unreadable(f"d{domain.domain}", why, "devices", head))
            nodes = error.nodes
        rows = xen.structs("pci_dev", [node - link for node in nodes], "sbdf.sbdf")
    except UNREADABLE as error:
        absent.append(unreadable(f"d{domain.domain}", f"d{domain.domain}'s PCI devices: {error}", "devices"))
        return domain
    return replace(domain, devices=tuple(row["sbdf.sbdf"] for row in rows if row))


def _with_bindings(xen: Xen, domain: Domain, absent: list[Absence]) -> Domain:
    """The domain with its guest MSIs."""
    try:
        return replace(domain, bindings=bindings(xen, domain.address)) if domain.hvm else domain
    except UNREADABLE as error:
        absent.append(unreadable(f"d{domain.domain}", f"d{domain.domain}'s bound interrupts: {error}", "bindings"))
        return domain


def _hooks(paths: dict[str, str], row: dict[str, int]) -> tuple[str, ...]:
    installed = {hook for path, hook in paths.items() if row[path] and hook != "flags"}
    for path, hook in paths.items():
        if hook == "flags":
            installed |= {name for bit, name in variants.HOOK_FLAGS.items() if row[path] >> bit & 1}
    return tuple(sorted(installed))


def with_events(xen: Xen, vcpus: Sequence[Vcpu]) -> list[Vcpu]:
    """The vCPUs, with whether an event waits for the paravirtualised ones; what cannot be read stays unknown.

    Of others the local APIC and RFLAGS.IF have a say.
    """
    path = next((path for path in VCPU_INFO if xen.profile.has("vcpu", path)), None)
    chosen = [vcpu for vcpu in vcpus if not vcpu.hvm]
    if path is None or not chosen:
        return list(vcpus)
    rows = xen.structs("vcpu", [vcpu.address for vcpu in chosen], path)
    infos = xen.memory.read_parts([(row[path] if row else 0, EVENT_SIZE) for row in rows])
    told = {
        vcpu.name: replace(vcpu, event_pending=bool(raw[0]), event_masked=bool(raw[1]))
        for vcpu, row, raw in zip(chosen, rows, infos, strict=True)
        if row and row[path] and raw
    }
    return [told.get(vcpu.name, vcpu) for vcpu in vcpus]
