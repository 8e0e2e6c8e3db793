"""Where Xen's versions differ in what vtdpi reads and writes, member by member. Nothing else knows of a difference.

A layout belongs to a build, so what is asked is the build's profile, never its version: the first form of a member that
the profile has is the one. Versions are said for the reader.

>>> from structs.xen.named import bundled
>>> {vmx(profile) for profile in bundled()}
{'arch.hvm.vmx'}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from structs.xen.pirq import DPCI
from structs.xen.profile import Profile

VMX = ("arch.hvm.vmx", "arch.hvm_vcpu.u.vmx")
"""`struct vcpu`: its VMX part, since 4.12, and before."""

VLAPIC = ("arch.hvm.vlapic", "arch.hvm_vcpu.vlapic")
"""`struct vcpu`: its virtual local APIC, since 4.12, and before."""

GUEST_VECTOR = (f"{DPCI}.gmsi.gvec", f"{DPCI}.gmsi.data")
"""`struct pirq`: where bits 7:0 are the guest's vector of an MSI. The second form, `addr` and `data` as the guest wrote
them in place of `gvec` and `gflags`, is on Xen's list, and in no release yet."""

RUNSTATE_SEQ = "runstate_seq"
"""`struct vcpu`: odd while `runstate` is being written (1dc4d5d818, of June 2026, in the stable branches from 4.17 on).
Builds before that do not tell."""

HOOKS: tuple[Mapping[str, str], ...] = (
    {"arch.hvm.pi_ops.flags": "flags", "arch.hvm.pi_ops.vcpu_block": "block"},
    {
        "arch.hvm_domain.pi_ops.vcpu_block": "block",
        "arch.hvm_domain.pi_ops.switch_from": "switch_from",
        "arch.hvm_domain.pi_ops.switch_to": "switch_to",
        "arch.hvm_domain.pi_ops.do_resume": "resume",
    },
    {
        "arch.hvm_domain.vmx.vcpu_block": "block",
        "arch.hvm_domain.vmx.pi_switch_from": "switch_from",
        "arch.hvm_domain.vmx.pi_switch_to": "switch_to",
        "arch.hvm_domain.vmx.pi_do_resume": "resume",
    },
)
"""`struct domain`: the posting hooks by member. Since 4.12 flags (HOOK_FLAGS) and one pointer; four pointers in 4.9 to
4.11, and before in the VMX part."""

HOOK_FLAGS = {0: "switch_from", 1: "switch_to"}
"""The hooks by the bit of `pi_ops.flags` (PI_CSW_FROM, PI_CSW_TO)."""

OPTIONAL: Mapping[str, tuple[str, ...]] = {
    # A vCPU's last CPU; before 4.11 a mask, vcpu_dirty_cpumask.
    "vcpu": ("dirty_cpu", RUNSTATE_SEQ, "arch.user_regs.rflags", "poll_evtchn"),
    "cpu_info": ("guest_cpu_user_regs.rflags",),
    "msi_desc": ("msi_attrib.type", "msi_attrib.pos"),
    "irq_desc": ("status", "handler", "action", "arch.cpu_mask", "affinity"),
    "pirq": ("pirq", "evtchn", "masked", "arch.irq", f"{DPCI}.flags"),
}
"""Members that a build may lack, or its profile not tell; what they tell is then not known."""

PLATFORM = (
    (3, "ioapic_list", "acpi_ioapic_unit", "apic_id", "ioapic.info"),
    (4, "hpet_list", "acpi_hpet_unit", "id", "bdf"),
)
"""`struct acpi_drhd_unit`: who is behind a unit besides PCI devices, by kind of DMAR scope: the list's head, its nodes'
structure, their id, their source-id. HPETs are not in every profile."""

QUEUE_SLOTS, QUEUE_SLOTS_LIMIT, QUEUE_ENTRIES = 1024, 1 << 15, "qi_entry_nr"
"""Slots of an invalidation queue: 4 pages of them, until Xen sized it by the number of CPUs (4.16) and kept the size in
a variable."""

IMAGE_BASES = (0xFFFF82D040000000, 0xFFFF82D080000000)
"""XEN_VIRT_START since 4.14, and before."""

DESCRIPTORS_BELOW_4G = (4, 11)
"""The last version in which every struct vcpu, and with it every descriptor, lies below 4 GiB (alloc_vcpu_struct)."""


def newest(path: str) -> str:
    """The path of a vCPU's member as the newest versions have it, from what any of them calls it.

    >>> newest("arch.hvm_vcpu.u.vmx.pi_desc"), newest("arch.hvm.vlapic.regs"), newest("processor")
    ('arch.hvm.vmx.pi_desc', 'arch.hvm.vlapic.regs', 'processor')
    """
    for new, *older in (VMX, VLAPIC):
        for old in older:
            if path.startswith(f"{old}."):
                return new + path.removeprefix(old)
    return path


def vmx(profile: Profile) -> str | None:
    """The path to a vCPU's VMX part, where the profile tells its descriptor."""
    return _first(profile, "vcpu", VMX, "pi_desc")


def vlapic(profile: Profile) -> str | None:
    """The path to a vCPU's virtual local APIC."""
    return _first(profile, "vcpu", VLAPIC, "regs")


def guest_vector(profile: Profile) -> str | None:
    """The path to the guest's vector of an MSI in a `struct pirq`: bits 7:0 of what is there."""
    return next((path for path in GUEST_VECTOR if profile.has("pirq", path)), None)


def hooks(profile: Profile) -> dict[str, str]:
    """The members of `struct domain` that tell the posting hooks: path -> hook, or `flags`."""
    forms = ({path: hook for path, hook in form.items() if profile.has("domain", path)} for form in HOOKS)
    return next((form for form in forms if form), {})


def optional(profile: Profile, struct: str, among: Iterable[str] | None = None) -> tuple[str, ...]:
    """Those of a structure's OPTIONAL members, or of the named ones, that the profile has."""
    return tuple(path for path in (OPTIONAL[struct] if among is None else among) if profile.has(struct, path))


def _first(profile: Profile, struct: str, paths: Iterable[str], member: str) -> str | None:
    return next((path for path in paths if profile.has(struct, f"{path}.{member}")), None)
