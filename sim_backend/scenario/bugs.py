"""Named changes of a version: bugs that Xen had, bugs that it did not have, repairs, and other ways to do the same.

    >>> from sim_backend.logic.kvm.versions import KvmVersion
from sim_backend.logic.versions import CURRENT
    >>> with_bugs(CURRENT, ["ZOO-03", "no-recheck"]).name
    'current with ZOO-03, no-recheck'

Each undoes one fix and nothing else: all else stays as in the version that it is applied to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from sim_backend.logic.kvm.versions import KvmVersion
from sim_backend.logic.versions import CURRENT, V4_21, VERSIONS, AnyVersion, Version
from sim_backend.memory.errors import SimError
from sim_backend.scenario.change import Bug, Change, by_name
from sim_backend.scenario.kvm_bugs import KVM_BUGS, KVM_VARIANTS

WITH = " with "


A = TypeVar("A", Version, KvmVersion, AnyVersion)

BUGS: Mapping[str, Bug] = by_name(
    Bug(
        "ZOO-01",
        "the switch-in hook is dropped while a vCPU is preempted",
        "When the last device leaves, the switch-in hook goes with the others. Who is preempted then keeps SN for "
        "ever: nobody clears it, software posts find it set and never set ON, and the guest never gets them.",
        {"keeps_switch_in": False},
        "zoo-01",
        "Xen 7c00de1756 (4.9)",
    ),
    Bug(
        "ZOO-02",
        "hooks are installed in a bad order, and NDST is stale",
        "NDST names the CPU where a vCPU was created, and without hooks it goes stale; when the first device comes, "
        "the block hook is there at once: a vCPU that moved before and halts now waits on one CPU's list and has its "
        "notifications sent to another one.",
        {"assign_in_order": False, "ndst_at_creation": True},
        "zoo-02",
        "Xen 17ee5853e2 (4.9)",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "ZOO-03",
        "a softirq bit suppresses the notification",
        "A software post sends the notification vector only if it newly set the VCPU_KICK bit of the target's CPU. A "
        "CPU in the guest takes the vector without an exit, and the bit stays: the next post sets ON and sends none.",
        {"always_notifies": False},
        "zoo-03",
        "Xen b151125b4d (4.9, also in 4.7.5 and 4.8.4)",
    ),
    Bug(
        "ZOO-04",
        "nothing is cleaned up when the last device leaves",
        "Who is blocked when the last device leaves stays on its list with NV as it is. With a new device it is "
        "appended a second time; when its domain ends, the list has a node in freed memory.",
        {"deassign_cleans_up": False},
        "zoo-04",
        "Xen 9152b5f8d9 (4.9)",
    ),
    Bug(
        "ZOO-05",
        "a CPU that goes offline leaves its blocked vCPUs behind",
        "Their NDST names a CPU that is not there, so messages are lost; their nodes and the lock that guards them are "
        "in a per-CPU area that is freed.",
        {"moves_blocked": False},
        "zoo-05",
        "Xen 92fc8d10f5 (4.9)",
    ),
    Bug(
        "ZOO-06",
        "moving an interrupt to another CPU scribbles on its posted entry",
        "The fields of the remapped format are written over an entry that stays a posted one: the vector is the "
        "host's, and the descriptor's address is made of the destination's APIC ID.",
        {"rebuilds_posted": False},
        "zoo-06",
        "Xen a5e25908d1 (4.9); Linux had the like of it until 688124cc541f (2025)",
    ),
    Bug(
        "ZOO-07",
        "an entry is written in two halves",
        "Two stores of 8 bytes, the low one first. A request in between has the new low half with the old high one. "
        "That is a wrong entry if the high halves differ: in the source-id, or in the upper half of a descriptor's "
        "address, when a vCPU lies above 4 GiB (4.12 on). The unit then posts to other memory, and bits change there.",
        {"entry_at_once": False},
        "zoo-07",
        "Xen 93358e8e83 (4.9), on CPUs without CMPXCHG16B 848b6bc8c9 (4.20)",
    ),
    Bug(
        "ZOO-08",
        "an entry stays posted when its interrupt goes to several vCPUs",
        "The guest has an interrupt go to all of its vCPUs, which cannot be posted; its entry stays a posted one, and "
        "all that the device sends goes on to the vCPU that it was for before.",
        {"multicast_restores": False},
        "zoo-08",
        "Xen 220e0b033d (4.9)",
    ),
    Bug(
        "ZOO-09",
        "an entry stays posted after its interrupt was unbound",
        "A device that was taken from a domain goes on posting to the domain's vCPU.",
        {"unbind_restores": False},
        "zoo-09",
        "Xen a5e25908d1 (4.9)",
    ),
    Bug(
        "ZOO-11",
        "posting is on though the CPUs cannot process posted interrupts",
        "No vector is allocated for notifications, and NV is 0: what a device posts stays in PIR, and the message that "
        "is to tell of it has a vector that no local APIC takes.",
        {"needs_posting_cpus": False},
        "zoo-11",
        "Xen e489eb6138 (4.10, also in 4.9.0, 4.8.2 and 4.7.4)",
    ),
    Bug(
        "ZOO-12",
        "PIR is not looked at when something else is pending",
        "On the way to VM entry an event-channel upcall wins, and PIR is not moved: the guest is entered with ON set, "
        "so no further post notifies it, until the next VM exit.",
        {"always_syncs": False},
        "zoo-12",
        "Xen 56348df32b (4.13, also in 4.11 and 4.12)",
    ),
    Bug(
        "ZOO-14",
        "Xen's record of an interrupt's message is overwritten",
        "To post an interrupt, Xen has its record of the host's message become what the device sends: it names an "
        "entry, and no vector. When the guest then has the interrupt go to several vCPUs, the entry is made of that, "
        "and the device interrupts with vector 0.",
        {"copies_message": False},
        "zoo-08",
        "Xen 30f0e55a79 (4.21, also in 4.18 to 4.20)",
    ),
    Bug(
        "ZOO-18",
        "a new posted entry begins with what the stack held",
        "The arguments of memset were exchanged, so that nothing was cleared. In the model all reserved bits are set "
        "then; on a real stack, those that happen to be. The unit refuses the entry with fault 0x24, and the interrupt "
        "is lost.",
        {"clears_new_entry": False},
        "zoo-18",
        "Xen e6f0e099d2 (before 4.7)",
    ),
    Bug(
        "ZOO-24",
        "an invalidation that takes long is taken for done",
        "Whoever changed an entry goes on before the unit has forgotten the old one: a device that was taken from its "
        "domain goes on posting to the domain's vCPU.",
        {"awaits_flush": False},
        "zoo-24",
        "Xen 7c893abc4e and cbfa62bb14 (4.16, XSA-373)",
    ),
    Bug(
        "ZOO-27",
        "a CPU that has left MWAIT is told nothing of its timer",
        "Who tells a CPU of its timer looks whether it is in MWAIT, and then, if it was, only stores to where its "
        "softirqs are. If the CPU left MWAIT in between, and entered a guest, it has a softirq that nothing makes it "
        "look at. (3d521e933e1b of 2010; from 1adb34ea846d of that year on a byte beside the softirqs was stored to "
        "instead, and there was not even a softirq.)",
        {"elides_at_once": False},
        "broadcast",
        "Xen 3faf0866a3 (4.21, also in 4.17 to 4.20), whose in_mwait comes with 3e0bc4b503",
        base="4.21",
    ),
    Bug(
        "ZOO-28",
        "the last look for softirqs before MWAIT is done with interrupts enabled",
        "An interrupt between the look and MWAIT raises a softirq on its own CPU, which no store of another CPU tells "
        "of: the CPU goes to sleep with the softirq pending.",
        {"masks_before_mwait": False},
        "mwait",
        "Xen 9b0f0f6e23 (4.21, also in stable releases); Linux edc8fc01f608",
        base="4.21",
    ),
    Bug(
        "ZOO-29",
        "an interrupt that was disabled while its handler ran is handled once more",
        "It came again meanwhile, and the loop in which Xen handles what is pending does not ask whether it is still "
        "enabled: the handler runs for a device that its driver is about to stop.",
        {"action_heeds_disable": False},
        "zoo-29",
        "Xen b5edd9c58e (4.22, also in 4.20)",
    ),
    Bug(
        "ZOO-30",
        "an interrupt with a high-priority vector stays with a CPU that goes offline",
        "Xen has it on record as going to all online CPUs, so moving interrupts away from one that goes offline finds "
        "that nothing needs to be done. Its entry names that CPU, and its messages are lost.",
        {"tracks_cpu_mask": False},
        "zoo-30",
        "Xen 68dda501d9 (4.22)",
    ),
    Bug(
        "no-recheck",
        "cousin: who blocks looks for events before the block hook, and not after it",
        "A post between the look and the store of NV sends the notification vector, which wakes nobody: the vCPU is "
        "blocked, with the vector in PIR or, if the way to VM entry looked there once more, in IRR.",
        {"looks_again": False},
        "blocking",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "stale-ndst",
        "cousin: switching in does not store NDST",
        "A vCPU that moved has its notifications sent to the CPU where it was first.",
        {"directs": False},
        "moved",
    ),
    Bug(
        "sn-while-blocked",
        "cousin: switching out sets SN even if the vCPU is blocked",
        "Posts to a blocked vCPU send no wakeup, and leave ON clear.",
        {"blocked_notify": False},
        "switched",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "wakeup-keeps-lock",
        "cousin: the wakeup interrupt does not clear the lock pointer",
        "The way to VM entry takes a vCPU off its list that is on none: it follows the poison in the node.",
        {"wakeup_forgets_lock": False},
        "blocking",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "wakes-one",
        "cousin: the wakeup interrupt stops after the first vCPU that it woke",
        "Two posts can come to one wakeup interrupt: the second vCPU stays blocked with ON set.",
        {"wakes_all": False},
        "two-blocked",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "nv-not-restored",
        "cousin: the way to VM entry does not set NV back",
        "In the guest a post sends the wakeup vector. It is no notification: the CPU leaves the guest for it. One that "
        "comes after the look for interrupts and before VM entry is lost until the next exit.",
        {"resume_restores_nv": False},
        "upcall",
    ),
    Bug(
        "node-not-removed",
        "cousin: setting NV back does not take the vCPU off its list",
        "The next time that it blocks it is appended a second time.",
        {"resume_unlists": False},
        "upcall",
        "Linux 8b306e2f3c41 (2017), where hot-unplug could bring it about",
    ),
    Bug(
        "ndst-follows",
        "cousin: moving a blocked vCPU has its notifications follow it",
        "The wakeup interrupt then comes to the CPU that it moved to, and looks at that one's list; the vCPU is on the "
        "list of the CPU where it blocked.",
        {"ndst_stays": False},
        "blocked-moves",
        'Linux, "KVM: VMX: Do not change PID.NDST when loading a blocked vCPU" (2019)',
    ),
    Bug(
        "current-not-woken",
        "cousin: a software post does not unblock the current vCPU",
        "A vCPU that blocks stays current until it is switched out. Its emulated timer may expire in between, and is "
        "posted from a softirq of that CPU: ON is set, no wakeup vector is sent, and the vCPU is switched out.",
        {"wakes_current": False},
        "timer",
        "Linux fdba608f15e2 (5.16): KVM did not wake a vCPU that it took for the running one",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "load-drops-posted",
        "cousin: loading a vCPU's context clears PIR and ON, at its end",
        "What is posted while the context is loaded is cleared with what was there before.",
        {"load_keeps_posted": False},
        "loaded",
        "Linux 9cfec6d097c6 (6.7): KVM cleared them after it had started the timer, now it does before",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "block-past-pir",
        "cousin: who blocks does not look at PIR",
        "Posts until NV names the wakeup vector are not seen by the last look for events: the vCPU is blocked with ON "
        "set, and no other post notifies it.",
        {"block_sees_pir": False},
        "blocking",
        "Linux 27c4fa42b11a (6.11): for vCPUs of a guest's guest KVM looked for wake events and not at PIR",
        hidden_by=("repair-wake-all",),
    ),
    Bug(
        "unrouted-stays-posted",
        "cousin: an entry stays posted when its interrupt is no MSI of the guest's any more",
        "The entry is turned back only if the guest's new message is one that cannot be posted, and not if there is "
        "none: the device goes on posting the vector that it had.",
        {"unroute_restores": False},
        "unrouted",
        "Linux 9bcac97dc42d (6.15): KVM left an entry posted if the new route was no MSI",
    ),
    Bug(
        "unchanged-data",
        "cousin: an entry is updated only if the message's data changed",
        "The guest has an interrupt go to another vCPU with the same vector. What is compared is the same, and the "
        "entry goes on posting to the vCPU that it was for before.",
        {"updates_always": False},
        "zoo-08",
        "Linux bcda70c56f3e (6.15): KVM took a route for unchanged if its data was, though it was of another type",
    ),
    Bug(
        "binding-unlocked",
        "cousin: two change a guest's interrupts at once",
        "A vCPU rewrites an MSI while the device is taken from its domain: the entry that was turned back is posted "
        "once more, and nobody turns it back again.",
        {"locks_binding": False},
        "rewritten",
        "Linux f1fb088d9cec (6.15): KVM updated a route while the device that it belongs to came or went",
    ),
    Bug(
        "restores-old-entry",
        "cousin: an entry that is no longer posted becomes what it was before it was posted",
        "The host has moved the interrupt meanwhile; the old entry names a CPU that went offline.",
        {"restores_current": False},
        "restored",
        "Linux 2454823e97a6 (6.15): the entry came back in another mode than the host had for it",
    ),
    Bug(
        "host-takes-entry",
        "cousin: moving an interrupt on the host puts the host's entry in a posted one's place",
        "The record still says that it is posted; the interrupt goes to the host, which has to deliver it.",
        {"host_spares_posted": False},
        "zoo-06",
        "Linux 688124cc541f (6.15)",
    ),
    Bug(
        "mwait-armed-late",
        "cousin: the monitor is armed after the last look for softirqs",
        "A softirq that is raised in between sends no interrupt, for the CPU says that it is in MWAIT; the store that "
        "raised it is missed, and the CPU sleeps.",
        {"arms_first": False},
        "mwait",
        base="4.21",
    ),
    Bug(
        "mwait-flag-stays",
        "cousin: a CPU that leaves MWAIT does not say so",
        "Who raises a softirq there sends no interrupt any more, wherever the CPU is.",
        {"withdraws_in_mwait": False},
        "mwait",
        base="4.21",
    ),
)
"""Bugs by name: those that begin with ZOO were in Xen; a "cousin" never was."""

REPAIRS: Mapping[str, Change] = by_name(
    Change(
        "repair-linux-sn",
        "switching in looks at PIR",
        "After it cleared SN, switching in sets ON if PIR is not empty, so that the way to VM entry moves it. What was "
        "posted while SN was set is seen; Linux does so since c112b5f50232 (5.2).",
        {"switch_in_looks_at_pir": True},
        "h-a",
    ),
    Change(
        "repair-wake-all",
        "the wakeup interrupt wakes all on its list",
        "It does not ask for ON, which a look for interrupts may have cleared since the post: on the way to VM entry "
        "of a vCPU that has just blocked and is about to be switched out, or when a domain's context is saved. "
        "Who is woken for nothing blocks again.",
        {"wakeup_asks_on": False},
        "h-o",
    ),
    Change(
        "repair-wakeup-kicks",
        "the wakeup interrupt has its CPU look again",
        "It raises VCPU_KICK, as the notification interrupt does: a vCPU that was woken otherwise, and has looked for "
        "interrupts on its way to VM entry, looks again for the post that came with the wakeup vector.",
        {"wakeup_kicks": True},
        "h-b",
    ),
    Change(
        "repair-barrier",
        "the block hook ends with a barrier",
        "NV names the wakeup vector for all to see before ON is looked at. Up to 4.20 the look itself, a locked "
        "operation, sees to that.",
        {"blocks_in_order": True},
        "h-l",
    ),
)
"""What would mend something: no release of Xen does it."""

VARIANTS: Mapping[str, Change] = by_name(
    Change(
        "sync-plain-read",
        "moving PIR to IRR begins with a plain read",
        "As in 4.21 and later (e6dfe4250c): ON is read before it is cleared by a locked operation. No bug by itself. "
        "The read may overtake the store of NV before it, which needs a machine with store buffers to be seen.",
        {"sync_reads_first": True},
        "h-l",
    ),
    Change(
        "switch-out-notifies",
        "switching out does not set SN",
        "As KVM did when a vCPU was put without being preempted, until Linux 6737557442e5 (6.17). Posts to a vCPU that "
        "does not run notify the CPU where it ran: for nothing, or for another vCPU. In this logic nothing is lost by "
        "that, for they set ON too, which the way to VM entry finds: it hides what repair-linux-sn mends.",
        {"suppresses": False},
        "h-a",
    ),
    Change(
        "nv-before-list",
        "NV names the wakeup vector before the vCPU is on a list",
        "A wakeup interrupt in between finds nobody. By itself that does no harm in this logic: the look for events "
        "that follows finds ON. Together with no-recheck it does.",
        {"lists_before_nv": False},
        "blocking",
    ),
    Change(
        "sn-before-ndst",
        "switching in clears SN before it stores NDST",
        "A post in between notifies the CPU where the vCPU ran before. By itself that does no harm in this logic: the "
        "way to VM entry that follows finds ON.",
        {"directs_before_lifting": False},
        "moving",
    ),
)
"""Other ways to do the same, no bugs by themselves. The first is what 4.21 does too. Of the others one might fear
something; exploring finds nothing.
"""

CHANGES: Mapping[str, Change] = {**BUGS, **REPAIRS, **VARIANTS}
"""All of Xen's."""
ALL_CHANGES: Mapping[str, Change] = {**CHANGES, **KVM_BUGS, **KVM_VARIANTS}
"""KVM's too."""


def change(name: str) -> Change:
    """The change of that name, whatever case it is written in. Raises SimError if there is none."""
    for known, found in ALL_CHANGES.items():
        if known.casefold() == name.casefold():
            return found
    raise SimError(f"no change {name!r} of the logic; there are {', '.join(ALL_CHANGES)}")


def base_of(names: Iterable[str]) -> str:
    """The version that these are changes of, by name. Raises SimError if there is no such change."""
    bases = (each.base for each in map(change, names) if isinstance(each, Bug))
    return next((base for base in bases if base != CURRENT.name), CURRENT.name)


def with_bugs(version: A, names: Iterable[str]) -> A:
    """A version with some of the changes, whatever case their names are written in.

    Raises:
        SimError: there is no such change, or the version has it already, or nothing that could have it.
    """
    changed = version
    for each in map(change, names):
        if not each.apply.keys() <= {field.name for field in fields(changed)}:
            raise SimError(f"{each.name} is no change of {changed.name}: it does not do what would be different")
        if isinstance(each, Bug) and each.base == V4_21.name and isinstance(changed, Version) and not changed.in_mwait:
            raise SimError(f"{each.name} is of {each.base} on: {changed.name} tells nobody that a CPU waits in MWAIT")
        if all(getattr(changed, field) == value for field, value in each.apply.items()):
            raise SimError(f"{changed.name} has {each.name} already")
        joint = ", " if WITH in changed.name else WITH
        different: Mapping[str, Any] = each.apply
        changed = replace(changed, **different, name=f"{changed.name}{joint}{each.name}")
    return changed


def xen_version(name: str) -> Version:
    """As `version`, of Xen. Raises SimError if it is another hypervisor's."""
    found = version(name)
    if not isinstance(found, Version):
        raise SimError(f"{found.name} is no version of Xen")
    return found


def version(name: str) -> AnyVersion:
    """The version of that name: one of VERSIONS, or one with changes, `current with ZOO-03, no-recheck`.

    Raises:
        SimError: there is none.
    """
    base, _, changes = name.partition(WITH)
    if base not in VERSIONS:
        raise SimError(f"no version {base!r} of the logic; there are {', '.join(VERSIONS)}")
    if not changes:
        return VERSIONS[base]
    return with_bugs(VERSIONS[base], [change.strip() for change in changes.split(",")])
