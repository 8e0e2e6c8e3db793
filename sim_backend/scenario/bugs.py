"""Named changes of a version: bugs that Xen had, bugs that it did not have, repairs, and other ways to do the same.

    >>> from sim_backend.logic.versions import CURRENT
    >>> with_bugs(CURRENT, ["ZOO-03", "no-recheck"]).name
    'current with ZOO-03, no-recheck'

Each undoes one fix and nothing else: all else stays as in the version that it is applied to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from sim_backend.logic.versions import VERSIONS, Version
from sim_backend.memory.errors import SimError

WITH = " with "


@dataclass(frozen=True)
class Change:
    """A named change of a version.

    Attributes:
        name: by which it is asked for.
        title: in a few words.
        what: what is done differently, and what comes of it.
        apply: the fields of Version that it sets.
        scenario: the bundled scenario whose exploration tells it from a version without it.
    """

    name: str
    title: str
    what: str
    apply: Mapping[str, bool]
    scenario: str


@dataclass(frozen=True)
class Bug(Change):
    """A bug.

    Attributes:
        fixed_in: which commit and first release mended it, in Xen or, a cousin, elsewhere; None: nobody is known to
            have had it.
        hidden_by: without these repairs, its scenario breaks the same property with the bug and without it.
    """

    fixed_in: str | None = None
    hidden_by: tuple[str, ...] = ()


C = TypeVar("C", bound=Change)


def _by_name(*changes: C) -> dict[str, C]:
    return {change.name: change for change in changes}


BUGS: Mapping[str, Bug] = _by_name(
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
)
"""Bugs by name: those that begin with ZOO were in Xen; a "cousin" never was."""

REPAIRS: Mapping[str, Change] = _by_name(
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
)
"""What would mend something: no release of Xen does it."""

VARIANTS: Mapping[str, Change] = _by_name(
    Change(
        "sync-plain-read",
        "moving PIR to IRR begins with a plain read",
        "As in 4.21 and later (e6dfe4250c): ON is read before it is cleared by a locked operation. No bug by itself. "
        "The read may overtake the store of NV before it, which needs a machine with store buffers to be seen.",
        {"sync_reads_first": True},
        "h-l",
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
"""Other ways to do the same, no bugs by themselves. The first is what later releases do: nothing else of the logic
changed in 4.21, so there is no version of that name. Of the others one might fear something; exploring finds nothing.
"""

CHANGES: Mapping[str, Change] = {**BUGS, **REPAIRS, **VARIANTS}
"""All of them."""


def change(name: str) -> Change:
    """The change of that name, whatever case it is written in. Raises SimError if there is none."""
    for known, found in CHANGES.items():
        if known.casefold() == name.casefold():
            return found
    raise SimError(f"no change {name!r} of the logic; there are {', '.join(CHANGES)}")


def with_bugs(version: Version, names: Iterable[str]) -> Version:
    """A version with some of the changes, whatever case their names are written in.

    Raises:
        SimError: there is no such change, or the version has it already.
    """
    changed = version
    for each in map(change, names):
        if all(getattr(changed, field) == value for field, value in each.apply.items()):
            raise SimError(f"{changed.name} has {each.name} already")
        joint = ", " if WITH in changed.name else WITH
        changed = replace(changed, **dict(each.apply), name=f"{changed.name}{joint}{each.name}")
    return changed


def version(name: str) -> Version:
    """The version of that name: `current`, `seed`, or one of them with changes, `current with ZOO-03, no-recheck`.

    Raises:
        SimError: there is none.
    """
    base, _, changes = name.partition(WITH)
    if base not in VERSIONS:
        raise SimError(f"no version {base!r} of the logic; there are {', '.join(VERSIONS)}")
    if not changes:
        return VERSIONS[base]
    return with_bugs(VERSIONS[base], [change.strip() for change in changes.split(",")])
