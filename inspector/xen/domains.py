"""Xen's domains and vCPUs: run state, posting hooks, descriptors, virtual local APICs, PCI devices.

Sources: `domain_list`, `struct domain`, `struct vcpu`, `vmx_pi_hooks_assign`, `vlapic_get_reg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inspector.errors import UNREADABLE
from inspector.snapshot import BLOCK, RESUME, SWITCH_FROM, SWITCH_TO, Descriptor, Domain, Vcpu
from inspector.xen.xen import BrokenList, Xen
from structs.columns import columns
from structs.pi_desc import PI_DESC, vectors

DOMAINS_LIMIT = 32768
VCPUS_LIMIT = 8192
ALL_VCPUS_LIMIT = 65536
DEVICES_LIMIT = 4096
EXAMPLES = 4
"""Of broken vCPUs of one domain, how many are told one by one."""

CDF_HVM = 1
RUNSTATE = ("runstate.state", "runstate.state_entry_time")
RUNSTATES = {0: "running", 1: "runnable", 2: "blocked", 3: "offline"}

# Where `struct vcpu` keeps its VMX part: since 4.12, and before.
VMX = ("arch.hvm.vmx", "arch.hvm_vcpu.u.vmx")
VLAPIC = ("arch.hvm.vlapic.regs", "arch.hvm_vcpu.vlapic.regs")

# The hooks: flags and one pointer (4.12 on), four pointers (4.9 to 4.11), four pointers in the VMX part (4.7, 4.8).
FLAGS = ("arch.hvm.pi_ops.flags", "arch.hvm.pi_ops.vcpu_block")
FLAG_BITS = {0: SWITCH_FROM, 1: SWITCH_TO}
POINTERS = {BLOCK: "vcpu_block", SWITCH_FROM: "{0}switch_from", SWITCH_TO: "{0}switch_to", RESUME: "{0}do_resume"}
POINTER_HOLDERS = (("arch.hvm_domain.pi_ops.", ""), ("arch.hvm_domain.vmx.", "pi_"))

# A local APIC's registers: 8 of 32 bits each, 16 bytes apart (SDM volume 3, table 11-1).
ISR, IRR, BITS = 0x100, 0x200, 0x80
VMCS_SIZE = 0x1000


def domains(xen: Xen) -> tuple[list[Domain], list[Vcpu], list[str]]:
    """Every domain and vCPU in Xen's order, and what is wrong with them.

    Raises:
        NotMapped, NotReadable, ProfileError: not even the list's head can be read.
    """
    problems: list[str] = []
    hooks = _hook_paths(xen)
    basics = ("domain_id", "max_vcpus", "vcpu", "next_in_list", "options", "is_dying", "pause_count")
    found: dict[int, dict[str, int]] = {}
    address = xen.pointer("domain_list")
    while address:
        row = xen.structs("domain", [address], *basics, *hooks)[0]
        if row is None:
            problems.append(f"the list of domains leaves readable memory at {address:#x}")
            break
        found[address] = row
        address = row["next_in_list"]
        if address in found or len(found) >= DOMAINS_LIMIT:
            problems.append(
                f"the list of domains does not end: {address:#x} comes again, or there are over {DOMAINS_LIMIT}"
            )
            break
    made = [
        Domain(row["domain_id"], at, bool(row["options"] & CDF_HVM), row["pause_count"], row["is_dying"])
        for at, row in found.items()
    ]
    installed = {at: _hooks(hooks, row) for at, row in found.items()}
    vcpus = _vcpus(xen, list(zip(made, found.values(), strict=True)), installed, problems)
    return [_with_devices(xen, domain, problems) for domain in made], vcpus, problems


def _vcpus(
    xen: Xen, rows: list[tuple[Domain, dict[str, int]]], hooks: dict[int, tuple[str, ...]], problems: list[str]
) -> list[Vcpu]:
    wanted: list[tuple[Domain, int, int]] = []
    for domain, row in rows:
        count = row["max_vcpus"]
        if count > VCPUS_LIMIT:
            problems.append(f"d{domain.domain} claims {count} vCPUs; {VCPUS_LIMIT} is the most that Xen allows")
            continue
        if count and len(wanted) + count <= ALL_VCPUS_LIMIT:
            try:
                array = xen.array_at(row["vcpu"], 8, count)
            except UNREADABLE as error:
                problems.append(f"d{domain.domain}'s array of {count} vCPUs: {error}")
                continue
            wanted += [(domain, number, at) for number, at in enumerate(array) if at]
    return _read_vcpus(xen, wanted, hooks, problems)


def _read_vcpus(
    xen: Xen, wanted: list[tuple[Domain, int, int]], hooks: dict[int, tuple[str, ...]], problems: list[str]
) -> list[Vcpu]:
    vmx = next((path for path in VMX if xen.profile.has("vcpu", f"{path}.pi_desc")), None)
    regs = next((path for path in VLAPIC if xen.profile.has("vcpu", path)), None)
    state = ("vcpu_id", "domain", "processor", "is_running", "pause_flags", "pause_count", *RUNSTATE)
    blocking = tuple(f"{vmx}.pi_blocking.{name}" for name in ("list.next", "list.prev", "lock")) if vmx else ()
    extra = tuple(path for path in ("dirty_cpu", f"{vmx}.vmcs_pa", regs) if path and xen.profile.has("vcpu", path))
    addresses = [at for _, _, at in wanted]
    rows = xen.structs("vcpu", addresses, *state, *blocking, *extra)
    descriptors = _descriptors(xen, wanted, xen.profile.offset("vcpu", f"{vmx}.pi_desc")) if vmx else {}
    node_at = xen.profile.offset("vcpu", f"{vmx}.pi_blocking.list") if vmx else 0
    vcpus, pages = [], []
    bad: dict[int, list[str]] = {}
    for (domain, number, at), row in zip(wanted, rows, strict=True):
        name = f"d{domain.domain}v{number}"
        if row is None:
            bad.setdefault(domain.domain, []).append(f"{name}: its struct vcpu at {at:#x} cannot be read")
            continue
        if row["vcpu_id"] != number or row["domain"] != domain.address:
            bad.setdefault(domain.domain, []).append(
                f"{name}: what its domain points to at {at:#x} is no such vCPU: it says vCPU {row['vcpu_id']} "
                f"of the domain at {row['domain']:#x}"
            )
            continue
        descriptor = descriptors.get(at) if domain.hvm else None
        if domain.hvm and vmx and descriptor is None:
            problems.append(f"{name}: its PI descriptor in the struct vcpu at {at:#x} cannot be read")
        following, preceding, lock = (row[path] for path in blocking) if domain.hvm and vmx else (0, 0, 0)
        vcpus.append(
            Vcpu(
                domain=domain.domain,
                vcpu=number,
                address=at,
                hvm=domain.hvm,
                processor=row["processor"],
                runstate=RUNSTATES.get(row["runstate.state"], f"unknown {row['runstate.state']}"),
                is_running=bool(row["is_running"]),
                pause_flags=row["pause_flags"],
                pause_count=row["pause_count"] + domain.pause_count,
                dirty_cpu=row.get("dirty_cpu"),
                since=row["runstate.state_entry_time"],
                hooks=hooks[domain.address] if domain.hvm else (),
                pi=descriptor,
                node=at + node_at if domain.hvm and vmx else 0,
                following=following,
                preceding=preceding,
                lock=lock,
            )
        )
        pages.append((row.get(regs or "", 0), row.get(f"{vmx}.vmcs_pa", 0)) if domain.hvm else (0, 0))
    for lines in bad.values():
        problems += lines[:EXAMPLES] + (
            [f"and {len(lines) - EXAMPLES} more like these"] if len(lines) > EXAMPLES else []
        )
    return _with_vmcs(xen, _with_vlapic(xen, vcpus, [regs for regs, _ in pages]), [vmcs for _, vmcs in pages])


def _descriptors(xen: Xen, wanted: list[tuple[Domain, int, int]], offset: int) -> dict[int, Descriptor]:
    """The descriptors by their vCPU's address: physical addresses by one walk each, bytes in one go."""
    places: dict[int, int] = {}
    for domain, _, at in wanted:
        if domain.hvm:
            try:
                places[at] = xen.memory.translate(at + offset)
            except UNREADABLE:
                continue
    found = {descriptor.address: descriptor for descriptor in read_descriptors(xen, list(places.values()))}
    return {at: found[place] for at, place in places.items() if place in found}


def read_descriptors(xen: Xen, places: Sequence[int]) -> list[Descriptor]:
    """The descriptors at physical addresses; those that cannot be read are left out."""
    parts = xen.memory.target.read_parts([(place, PI_DESC.size) for place in places])
    return decode_descriptors([(place, part) for place, part in zip(places, parts, strict=True) if part is not None])


def decode_descriptors(read: Sequence[tuple[int, bytes]]) -> list[Descriptor]:
    """Descriptors from their physical addresses and 64 bytes each."""
    table = columns(PI_DESC, b"".join(raw for _, raw in read), ["on", "sn", "nv", "ndst"])
    fields = zip(*(column.tolist() for column in table.values()), strict=True)
    reserved = sum(f.mask for f in PI_DESC.fields if f.reserved)
    made = []
    for (place, raw), (on, sn, nv, ndst) in zip(read, fields, strict=True):
        whole = int.from_bytes(raw, "little")
        made.append(
            Descriptor(place, tuple(vectors(PI_DESC["pir"].extract(whole))), on, sn, nv, ndst, whole & reserved)
        )
    return made


def _with_vlapic(xen: Xen, vcpus: list[Vcpu], pages: list[int]) -> list[Vcpu]:
    """IRR and ISR of each vCPU's virtual local APIC, where its page of registers can be read."""
    parts = iter(xen.memory.read_parts([(page + ISR, IRR + BITS - ISR) for page in pages if page]))
    made = []
    for vcpu, page in zip(vcpus, pages, strict=True):
        raw = next(parts) if page else None
        made.append(replace(vcpu, isr=_bits(raw[:BITS]), irr=_bits(raw[IRR - ISR :])) if raw else vcpu)
    return made


def _bits(raw: bytes) -> tuple[int, ...]:
    words = b"".join(raw[at : at + 4] for at in range(0, BITS, 16))
    return tuple(vectors(int.from_bytes(words, "little")))


def _with_vmcs(xen: Xen, vcpus: list[Vcpu], places: list[int]) -> list[Vcpu]:
    """Which descriptor's address each vCPU's VMCS page holds.

    Where a processor keeps the field (VMCS encoding 0x2016) in the page is its own affair, so any aligned word that is
    the address of a known descriptor counts; the vCPU's own is preferred. None if there is none.
    """
    known = np.array(sorted(vcpu.pi.address for vcpu in vcpus if vcpu.pi), "<u8")
    chosen = [(place, VMCS_SIZE) for place in places if place and len(known)]
    parts = iter(xen.memory.target.read_parts(chosen))
    made = []
    for vcpu, place in zip(vcpus, places, strict=True):
        raw = next(parts) if place and len(known) else None
        held = set(np.intersect1d(np.frombuffer(raw, "<u8"), known).tolist()) if raw else set()
        own = vcpu.pi.address if vcpu.pi else 0
        made.append(replace(vcpu, vmcs_pi=own if own in held else min(held)) if held else vcpu)
    return made


def _with_devices(xen: Xen, domain: Domain, problems: list[str]) -> Domain:
    """The domain with its PCI devices (`pdev_list`)."""
    try:
        head = domain.address + xen.profile.offset("domain", "pdev_list")
        link = xen.profile.offset("pci_dev", "domain_list")
        try:
            nodes = xen.list_nodes(head, DEVICES_LIMIT)
        except BrokenList as error:
            problems.append(f"d{domain.domain}'s list of PCI devices: {error}")
            nodes = error.nodes
        rows = xen.structs("pci_dev", [node - link for node in nodes], "sbdf.sbdf")
    except UNREADABLE as error:
        problems.append(f"d{domain.domain}'s PCI devices: {error}")
        return domain
    return replace(domain, devices=tuple(row["sbdf.sbdf"] for row in rows if row))


def _hook_paths(xen: Xen) -> dict[str, str]:
    """Where this build keeps the hooks: member path -> hook, or `flags`."""
    if xen.profile.has("domain", FLAGS[0]):
        return {FLAGS[0]: "flags", FLAGS[1]: BLOCK}
    paths = {
        holder + name.format(prefix): hook for holder, prefix in POINTER_HOLDERS for hook, name in POINTERS.items()
    }
    return {path: hook for path, hook in paths.items() if xen.profile.has("domain", path)}


def _hooks(paths: dict[str, str], row: dict[str, int]) -> tuple[str, ...]:
    installed = {hook for path, hook in paths.items() if row[path] and hook != "flags"}
    for path, hook in paths.items():
        if hook == "flags":
            installed |= {name for bit, name in FLAG_BITS.items() if row[path] >> bit & 1}
    return tuple(sorted(installed))
