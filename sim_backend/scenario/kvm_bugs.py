"""Named changes of KVM's logic: bugs that Linux had, others like them, and other ways to do the same."""

from __future__ import annotations

from collections.abc import Mapping

from sim_backend.scenario.change import Bug, Change, by_name

KVM = "kvm"

KVM_BUGS: Mapping[str, Bug] = by_name(
    Bug(
        "kvm-load-ignores-pir",
        "loading a vCPU does not set ON for what was posted meanwhile",
        "Devices that post while SN is set leave ON alone. If loading clears SN and does not look at PIR, nothing says "
        "that there is something: the vector stays in PIR until the next one comes.",
        {"load_sees_pir": False},
        "kvm-preempted",
        "Linux c112b5f50232 (5.0)",
        base=KVM,
    ),
    Bug(
        "kvm-load-keeps-list",
        "loading a vCPU leaves it on the wakeup list",
        "It is no longer blocked, and goes onto a list a second time when it blocks again.",
        {"load_unlists": False},
        "kvm-migrated",
        base=KVM,
    ),
    Bug(
        "kvm-load-keeps-nv",
        "loading a vCPU leaves the wakeup vector in NV",
        "In the guest it is not notified but woken; and it is taken off a list where it no longer is.",
        {"load_restores_nv": False},
        "kvm-migrated",
        base=KVM,
    ),
    Bug(
        "kvm-load-keeps-ndst",
        "loading a vCPU on another CPU leaves NDST",
        "Notifications go to the CPU where it was before, and who waits on a list is woken by nobody.",
        {"load_directs": False},
        "kvm-migrated",
        base=KVM,
    ),
    Bug(
        "kvm-wrong-list-lock",
        "a vCPU is taken off its list under the lock of the CPU where it is loaded",
        "The list is that of the CPU where it blocked: two change it at once.",
        {"load_locks_previous": False},
        "kvm-migrated",
        base=KVM,
    ),
    Bug(
        "kvm-put-ignores-on",
        "who goes onto a wakeup list does not look at ON",
        "What was posted before NV named the wakeup vector has notified with the other one, which wakes nobody.",
        {"put_notes_on": False},
        "kvm-migrated",
        base=KVM,
    ),
    Bug(
        "kvm-control-overwritten",
        "the control word is stored, not exchanged",
        "A post between the read and the store loses its ON.",
        {"put_keeps_control": False},
        "kvm-migrated",
        base=KVM,
    ),
    Bug(
        "kvm-wakes-first-only",
        "the wakeup interrupt wakes the first one only",
        "Two on one list have ON set, and one interrupt stands for both.",
        {"wakeup_wakes_all": False},
        "kvm-two-blocked",
        base=KVM,
    ),
    Bug(
        "kvm-current-not-woken",
        "a posted interrupt does not wake the vCPU that runs on the same CPU",
        "An interrupt that an irqfd brings comes after the last look of a vCPU that is about to sleep there.",
        {"wakes_current": False},
        "kvm-by-irqfd",
        "Linux fdba608f15e2 (5.16)",
        base=KVM,
    ),
    Bug(
        "kvm-block-past-pir",
        "who blocks does not look at PIR",
        "A vector that software posted before it was said who waits is seen by nobody.",
        {"block_sees_pir": False},
        "kvm-emulated",
        "Linux 27c4fa42b11a (6.11), which was for vCPUs of a guest's guest",
        base=KVM,
    ),
    Bug(
        "kvm-sleeps-after-look",
        "a thread says that it sleeps after its last look",
        "Who posts in between finds a thread that runs, and wakes nobody.",
        {"state_before_look": False},
        "kvm-emulated",
        base=KVM,
    ),
    Bug(
        "kvm-waits-after-look",
        "a thread says who waits after its last look",
        "Who posts in between finds nobody who waits.",
        {"waits_before_look": False},
        "kvm-emulated",
        base=KVM,
    ),
    Bug(
        "kvm-mode-after-sync",
        "IN_GUEST_MODE is stored after PIR was moved to IRR",
        "Who posts in between finds a vCPU that is not in the guest, and does not notify it.",
        {"mode_before_sync": False},
        "kvm-emulated",
        base=KVM,
    ),
    Bug(
        "kvm-no-sync-at-entry",
        "the way into the guest does not move PIR to IRR",
        "What came while the vCPU was outside of the guest stays in PIR.",
        {"syncs_before_entry": False},
        "kvm-emulated",
        "Linux 37c4dbf337c5 (5.16), which was for vCPUs with APICv disabled",
        base=KVM,
    ),
    Bug(
        "kvm-start-lets-sleep",
        "the first device of a VM does not wake its vCPUs",
        "Who is blocked already has the notification vector in NV, and is on no list: the device cannot wake it.",
        {"start_unblocks": False},
        "kvm-attached",
        "Linux a2486020a82e (5.13)",
        base=KVM,
    ),
    Bug(
        "kvm-unrouted-stays-posted",
        "an entry stays posted when its interrupt is no MSI of the guest's any more",
        "The device goes on posting the vector that it had.",
        {"unroute_restores": False},
        "kvm-unrouted",
        "Linux 9bcac97dc42d (6.15)",
        base=KVM,
    ),
    Bug(
        "kvm-route-type-ignored",
        "a route that becomes another kind of route is taken for unchanged",
        "The entry is not updated.",
        {"type_is_change": False},
        "kvm-unrouted",
        "Linux bcda70c56f3e (6.15)",
        base=KVM,
    ),
    Bug(
        "kvm-producers-unlocked",
        "connecting a device's interrupt does not exclude changes of its route",
        "The route is looked up, changed by a vCPU with its entry, and then the old one is written.",
        {"locks_producers": False},
        "kvm-rewritten",
        "Linux f1fb088d9cec (6.15)",
        base=KVM,
    ),
    Bug(
        "kvm-restores-old-entry",
        "an entry that is no longer posted becomes what it was before it was posted",
        "The host has moved the interrupt meanwhile.",
        {"restores_current": False},
        "kvm-moved",
        "Linux 2454823e97a6 (6.15), where it was the mode of the entry that did not come back",
        base=KVM,
    ),
    Bug(
        "kvm-host-takes-entry",
        "moving an interrupt on the host puts the host's entry in a posted one's place",
        "KVM takes the interrupt for a posted one; it goes to the host.",
        {"host_spares_posted": False},
        "kvm-moved",
        "Linux 688124cc541f (6.15)",
        base=KVM,
    ),
)
"""Those without a commit are not known to have been anybody's."""

KVM_VARIANTS: Mapping[str, Change] = by_name(
    Change(
        "kvm-put-suppresses",
        "SN is set whenever a vCPU is put that goes onto no list",
        "As Linux 6737557442e5 (6.17) has it: it saves notifications that nobody needs.",
        {"put_always_suppresses": True},
        "kvm-preempted",
    ),
    Change(
        "kvm-preempted-unlisted",
        "who is preempted on its way to block goes onto no wakeup list",
        "Its thread can run: it needs nobody to wake it.",
        {"lists_preempted": False},
        "kvm-preempted",
    ),
    Change(
        "kvm-nv-before-list",
        "NV names the wakeup vector before the vCPU is on the list",
        "What comes in between is seen by the look at ON after that, for interrupts are off.",
        {"put_lists_first": False},
        "kvm-migrated",
    ),
)
"""Other ways to do the same, no bugs by themselves: exploring finds nothing."""
