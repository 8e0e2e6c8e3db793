"""The versions of the posted-interrupt logic, told apart by what they do differently."""

from __future__ import annotations

from sim_backend.logic.kvm.versions import KVM, KVM_PREEMPT, KvmVersion
from structs.frozen import frozen


@frozen(kw_only=True)
class Version:
    """What a version of Xen does.

    `SEED` and `CURRENT` differ in the first fields, `CURRENT` and `V4_21` in `sync_reads_first` and `in_mwait`. In the
    others they agree; only `sim_backend.scenario.bugs` changes those.

    Attributes:
        ndst_at_creation: a new descriptor's NDST names the CPU of its creation; else it is all ones until first used.
        low_vcpus: new vCPUs and what belongs to them lie below 4 GiB, whatever memory there is (4.11 and before).
        assign_in_order: the first device installs the switch hooks, repairs every NDST, and only then the block hook;
            else all hooks are installed at once and NDST stays.
        deassign_cleans_up: when the last device leaves, the domain is paused, its blocked vCPUs are taken off their
            lists, and NV is restored; else the hooks are dropped and nothing else is done.
        keeps_switch_in: when the last device leaves, the switch-in hook stays; else it is dropped as the others are.
        moves_blocked: vCPUs that are blocked on a CPU that goes offline move to another one's list.
        always_notifies: a software post to a vCPU that runs elsewhere always sends the notification vector; else only
            if it newly set that CPU's VCPU_KICK softirq bit.
        always_syncs: the way to VM entry always moves PIR to IRR; else only if nothing else is pending already.
        unbind_restores: unbinding a guest interrupt turns its remapping entry back to the remapped format.
        multicast_restores: an interrupt that its guest has go to several vCPUs has its remapping entry turned back to
            the remapped format; else the entry stays as it is.
        copies_message: the entry of a guest's interrupt is made of a copy of the host's own message for it; else of the
            record of that, which then becomes what the device sends.
        rebuilds_posted: when the host moves an interrupt to another CPU, a posted entry is built anew; else the fields
            of the remapped format are written over it.
        entry_at_once: a remapping entry is written by one 16-byte store; else by two of 8 bytes, the low one first.
        lists_before_nv: who blocks goes onto the list first, then has NV name the wakeup vector.
        looks_again: who blocks looks for events after the block hook; else before it.
        directs_before_lifting: switching in stores NDST, then clears SN.
        directs: switching in stores NDST.
        ndst_stays: moving a vCPU to another CPU leaves NDST, which names the CPU on whose list it is.
        blocked_notify: switching out leaves SN alone if the vCPU is blocked.
        wakeup_forgets_lock: the wakeup interrupt clears the lock pointer of whom it takes off its list.
        wakes_all: the wakeup interrupt goes through all of its list; else it stops after the first that it woke.
        resume_restores_nv: the way to VM entry sets NV back.
        resume_unlists: setting NV back goes with taking the vCPU off its list.
        sync_reads_first: moving PIR to IRR begins with a plain read of ON, and goes on only if it is set (4.21 on).
        wakeup_asks_on: the wakeup interrupt wakes only those with ON set; else all that are on its list.
        wakeup_kicks: the wakeup interrupt has its CPU look for interrupts again before VM entry.
        switch_in_looks_at_pir: after it cleared SN, switching in sets ON if PIR is not empty (as Linux does).
        suppresses: switching out sets SN.
        blocks_in_order: the block hook ends with a barrier: NV is visible to all before ON is looked at.
        needs_posting_cpus: there is posting only where CPUs process posted interrupts; else also where Xen has
            allocated no vector for notifications.
        clears_new_entry: a posted entry is built from zeros; else from what the stack held.
        awaits_flush: whoever invalidates an entry waits until the unit has done it.
        tracks_cpu_mask: an interrupt with a high-priority vector moves away from a CPU that goes offline as others do.
        updates_always: an entry is updated whatever part of the guest's message changed; else only if its data did.
        unroute_restores: an interrupt that is no longer an MSI of the guest's has its entry turned back.
        host_spares_posted: moving an interrupt on the host leaves a posted entry one; else the host's own entry takes
            its place.
        restores_current: an entry that is no longer posted becomes what the host has on record now; else what it was
            before it was posted.
        locks_binding: changes of a guest's interrupts exclude each other.
        load_keeps_posted: loading a vCPU's context leaves what was posted alone; else PIR and ON are cleared at its
            end.
        action_heeds_disable: an interrupt that was disabled while its handler ran is not handled once more.
        block_sees_pir: who blocks looks for events in PIR too.
        wakes_current: a software post unblocks its vCPU also if that is the current one.
        in_mwait: an idle CPU waits in MWAIT and says so beside its softirqs; who raises one there sends no interrupt.
        elides_at_once: whether it waits there is read in the operation that sets the softirq; else before it.
        masks_before_mwait: an idle CPU disables interrupts before its last look for softirqs.
        arms_first: the monitor is armed before the last look for softirqs.
        withdraws_in_mwait: a CPU that leaves MWAIT says so.
    """

    name: str
    ndst_at_creation: bool = False
    low_vcpus: bool = False
    assign_in_order: bool = True
    deassign_cleans_up: bool = True
    keeps_switch_in: bool = True
    moves_blocked: bool = True
    always_notifies: bool = True
    always_syncs: bool = True
    unbind_restores: bool = True
    multicast_restores: bool = True
    copies_message: bool = True
    rebuilds_posted: bool = True
    entry_at_once: bool = True
    lists_before_nv: bool = True
    looks_again: bool = True
    directs_before_lifting: bool = True
    directs: bool = True
    ndst_stays: bool = True
    blocked_notify: bool = True
    wakeup_forgets_lock: bool = True
    wakes_all: bool = True
    resume_restores_nv: bool = True
    resume_unlists: bool = True
    wakeup_asks_on: bool = True
    wakeup_kicks: bool = False
    sync_reads_first: bool = False
    switch_in_looks_at_pir: bool = False
    suppresses: bool = True
    blocks_in_order: bool = False
    needs_posting_cpus: bool = True
    clears_new_entry: bool = True
    awaits_flush: bool = True
    tracks_cpu_mask: bool = True
    updates_always: bool = True
    unroute_restores: bool = True
    host_spares_posted: bool = True
    restores_current: bool = True
    locks_binding: bool = True
    load_keeps_posted: bool = True
    action_heeds_disable: bool = True
    block_sees_pir: bool = True
    wakes_current: bool = True
    in_mwait: bool = False
    elides_at_once: bool = True
    masks_before_mwait: bool = True
    arms_first: bool = True
    withdraws_in_mwait: bool = True


SEED = Version(
    name="seed",
    ndst_at_creation=True,
    low_vcpus=True,
    assign_in_order=False,
    deassign_cleans_up=False,
    keeps_switch_in=False,
    moves_blocked=False,
    always_notifies=False,
    always_syncs=False,
    unbind_restores=False,
    multicast_restores=False,
    rebuilds_posted=False,
)
"""The first one: Xen commit 4b759ce163 of March 2016, as released in 4.7.0.

Its `pi_update_irte` wrote entries at once; that a move to another CPU did not is left out.
"""

CURRENT = Version(name="current")
"""As in 4.20."""

V4_21 = Version(name="4.21", sync_reads_first=True, in_mwait=True)
"""As in 4.21 and 4.22: ON is read before it is cleared (e6dfe4250c), and raising a softirq sets it and reads `in_mwait`
in one operation (b473e5e212, 3e0bc4b503). Stable releases since July 2025, Debian's 4.17.5 and 4.20.4 among them, have
the second without the first.
"""

AnyVersion = Version | KvmVersion
VERSIONS: dict[str, AnyVersion] = {version.name: version for version in (SEED, CURRENT, V4_21, KVM, KVM_PREEMPT)}
"""Xen's, and KVM's."""
