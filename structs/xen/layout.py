"""Layouts: where the members that vtdpi reads lie in Xen's structures, apart from any one build's symbols.

A layout is of one structure, for each of them changes on its own from build to build: a stable branch's fix moves
members of `struct vcpu` and leaves `struct domain` as it was.

    >>> vcpu = StructLayout("vcpu", 3520, {"processor": Place(4, 4), "domain": Place(16, 8)})
    >>> base, user = isf_types([vcpu])
    >>> user["vcpu"]["fields"]["domain"]["offset"]
    16
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from structs.frozen import frozen
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

VMX = ("pi_desc", "pi_blocking.list", "pi_blocking.list.next", "pi_blocking.list.prev", "pi_blocking.lock", "vmcs_pa")
HOOKS = ("vcpu_block", "switch_from", "switch_to", "do_resume")

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "acpi_drhd_unit": ("address", "hpet_list", "ioapic_list", "iommu", "list", "segment"),
    "acpi_hpet_unit": ("bdf", "id", "list"),
    "acpi_ioapic_unit": ("apic_id", "ioapic.info", "list"),
    "cpu_info": ("current_vcpu", "guest_cpu_user_regs.rflags", "per_cpu_offset", "processor_id"),
    "domain": (
        *("domain_id", "is_dying", "max_vcpus", "next_in_list", "options", "pause_count", "pdev_list", "pirq_tree"),
        *("vcpu", "arch.hvm.pi_ops.flags", "arch.hvm.pi_ops.vcpu_block", "arch.pdev_list", "guest_type"),
        *(f"arch.hvm_domain.pi_ops.{hook}" for hook in HOOKS),
        *(f"arch.hvm_domain.vmx.{'' if hook == 'vcpu_block' else 'pi_'}{hook}" for hook in HOOKS),
    ),
    "irq_cpustat_t": ("__softirq_pending", "in_mwait"),
    "irq_desc": ("arch.vector", "irq", "msi_desc", "status", "action"),
    "irqaction": ("dev_id", "handler", "name"),
    "list_head": ("next", "prev"),
    "mpc_config_ioapic": ("mpc_apicid",),
    "msi_desc": (
        *("dev", "gvec", "irq", "msg.address_lo", "msi_attrib.pos", "msi_attrib.type", "pi_desc", "remap_index"),
    ),
    "pci_dev": ("bus", "devfn", "domain", "domain_list", "sbdf.sbdf", "seg"),
    "pirq": (
        *("arch.irq", "pirq", "arch.hvm.dpci.flags", "arch.hvm.dpci.gmsi.gvec", "arch.hvm.dpci.gmsi.dest_vcpu_id"),
        *(f"arch.hvm.dpci.gmsi.{name}" for name in ("posted", "gflags", "addr", "data")),
    ),
    "sched_resource": ("curr", "granularity"),
    "sched_unit": ("vcpu_list",),
    "vcpu": (
        *("dirty_cpu", "domain", "is_running", "pause_count", "pause_flags", "poll_evtchn", "processor"),
        *("runstate.state", "runstate.state_entry_time", "runstate_seq", "sched_unit", "vcpu_id"),
        "arch.user_regs.rflags",
        *(f"arch.hvm.vlapic.{name}" for name in ("regs", "hw.disabled")),
        *(f"arch.hvm.vmx.{name}" for name in VMX),
        *(f"arch.hvm_vcpu.vlapic.{name}" for name in ("regs", "hw.disabled")),
        *(f"arch.hvm_vcpu.u.vmx.{name}" for name in VMX),
    ),
    "vmx_pi_blocking_vcpu": ("list", "list.next", "list.prev", "lock"),
    "vtd_iommu": ("cap", "drhd", "ecap", "index", "intremap.maddr", "intremap.num", "qinval_maddr"),
}
"""What is kept of each structure; a build has those of its version."""

PARTS = {"lock": 4, "pirq_tree": 16}
"""What is read of a member whose size depends on the build's options: a lock's tickets, a tree's height and root."""

WORDS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}


@dataclass(frozen=True, order=True)
class Place:
    """A member: its first byte and size, and of a bit-field its lowest bit from that byte and its width."""

    offset: int
    size: int
    bit: int = 0
    bits: int = 0


@frozen
class StructLayout:
    """The size of a structure and the places of members, by dotted path."""

    name: str
    size: int
    members: Mapping[str, Place]


def of_profile(profile: Profile) -> dict[str, StructLayout]:
    """The layouts that a profile holds, by structure."""
    made = {}
    for struct, paths in MEMBERS.items():
        places = {path: place for path in paths if (place := _place(profile, struct, path))}
        if places:
            made[struct] = StructLayout(struct, profile.size(struct), places)
    return made


def isf_types(layouts: Iterable[StructLayout]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Layouts as the `base_types` and `user_types` of an ISF document; a member's name is its whole path."""
    base = {name: {"size": size, "signed": False, "kind": "int", "endian": "little"} for size, name in WORDS.items()}
    user = {
        layout.name: {
            "kind": "struct",
            "size": layout.size,
            "fields": {path: {"offset": at.offset, "type": _type(at)} for path, at in layout.members.items()},
        }
        for layout in layouts
    }
    return base, user


def _place(profile: Profile, struct: str, path: str) -> Place | None:
    try:
        member = profile.member(struct, path)
    except ProfileError:
        return None
    if member.type["kind"] == "bitfield":
        return Place(member.offset, member.size, int(member.type["bit_position"]), int(member.type["bit_length"]))
    compound = member.type["kind"] in ("struct", "union")
    return Place(
        member.offset, min(member.size, PARTS.get(path.rpartition(".")[2], member.size)) if compound else member.size
    )


def _type(place: Place) -> dict[str, Any]:
    word: dict[str, Any] = {"kind": "base", "name": WORDS.get(place.size, WORDS[1])}
    if place.bits:
        return {"kind": "bitfield", "bit_position": place.bit, "bit_length": place.bits, "type": word}
    return word if place.size in WORDS else {"kind": "array", "count": place.size, "subtype": word}
