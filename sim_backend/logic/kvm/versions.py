"""The versions of KVM's logic, told apart by what they do differently."""

from __future__ import annotations

from structs.frozen import frozen


@frozen(kw_only=True)
class KvmVersion:
    """What a version of Linux does. `KVM` has all fields as they are by default; bugs and repairs change them.

    Attributes:
        awaits_flush: whoever invalidates an entry waits until the unit has done it.
        preemptible: a thread can be preempted in the kernel (CONFIG_PREEMPT, or preempt=full); else only on its way
            into the guest and out to user space.
        load_sees_pir: after it lifted the suppression, loading a vCPU sets ON if PIR is not empty.
        load_unlists: loading a vCPU takes it off the wakeup list of the CPU on which it blocked.
        load_restores_nv: loading a vCPU has NV name the notification vector again.
        load_directs: loading a vCPU on another CPU than before has NDST name it.
        load_locks_previous: what guards that list is the lock of the CPU on which the vCPU blocked; else that of the
            one on which it is loaded.
        put_notes_on: who goes onto a wakeup list interrupts itself if ON is set already.
        put_lists_first: who blocks goes onto the wakeup list first, then has NV name the wakeup vector.
        put_keeps_control: the control word is replaced by a compare-and-exchange; else NV is read with the word and
            the whole word is stored.
        put_always_suppresses: SN is set whenever a vCPU is put that does not go onto a wakeup list, not only when it is
            preempted.
        lists_preempted: who is preempted on its way to block goes onto the wakeup list too.
        wakeup_wakes_all: the wakeup interrupt goes through all of its list; else it stops after the first with ON set.
        wakes_current: a posted interrupt wakes its vCPU also where that vCPU is the one that runs there.
        block_sees_pir: who is about to block looks at PIR too.
        state_before_look: a thread says that it sleeps before it looks for the last time; else after that.
        waits_before_look: a thread says who waits before that look; else after it.
        mode_before_sync: the way into the guest says so (IN_GUEST_MODE) before it moves PIR to IRR; else after that.
        syncs_before_entry: the way into the guest moves PIR to IRR with interrupts off; else only where events were
            looked for.
        start_unblocks: the first device that a VM gets makes those of its vCPUs look again that are blocked.
        unroute_restores: an entry is the host's again when the guest's new route cannot be posted.
        type_is_change: a route that becomes another kind of route has changed.
        locks_producers: connecting a device's interrupt excludes changes of the guest's routes.
        host_spares_posted: moving an interrupt on the host leaves an entry alone that posts to a vCPU.
        restores_current: an entry that is no longer posted becomes what the host has on record now; else what it was
            when it was posted.
    """

    name: str
    awaits_flush: bool = True
    preemptible: bool = False
    load_sees_pir: bool = True
    load_unlists: bool = True
    load_restores_nv: bool = True
    load_directs: bool = True
    load_locks_previous: bool = True
    put_notes_on: bool = True
    put_lists_first: bool = True
    put_keeps_control: bool = True
    put_always_suppresses: bool = False
    lists_preempted: bool = True
    wakeup_wakes_all: bool = True
    wakes_current: bool = True
    block_sees_pir: bool = True
    state_before_look: bool = True
    waits_before_look: bool = True
    mode_before_sync: bool = True
    syncs_before_entry: bool = True
    start_unblocks: bool = True
    unroute_restores: bool = True
    type_is_change: bool = True
    locks_producers: bool = True
    host_spares_posted: bool = True
    restores_current: bool = True


KVM = KvmVersion(name="kvm")
"""As in Linux 6.12.117."""

KVM_PREEMPT = KvmVersion(name="kvm-preempt", preemptible=True)
"""The same, started with preempt=full."""
