"""Blocked vCPUs: can a posted interrupt still wake them?"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.analysis.situation import DOWN
from inspector.audit.evidence import (
    described,
    destination,
    hooked,
    named,
    on_its_way,
    pending_at,
    quiet,
    settled,
    state,
    why,
)
from inspector.audit.rule import CPUS, DESCRIPTORS, LISTS, RECORDS, Found, rule
from inspector.model.snapshot import MARKER, Cpu, Descriptor, Snapshot, Vcpu
from structs.pi_desc import ndst_apic_id


@rule("D1", "blocked-vector", "a blocked vCPU is not notified by the wakeup vector", needs=(DESCRIPTORS,))
def blocked_vector(snapshot: Snapshot) -> Iterator[Found]:
    """A blocked vCPU waits for the wakeup vector: its handler looks through the list and wakes whom a post is for. With
    any other NV, a device's interrupt sets ON and PIR and sends a vector whose handler wakes nobody.

    How it comes about: `vmx_vcpu_block` was not called when the vCPU blocked (it blocked before the hooks were
    installed), or NV was overwritten later. Xen 4.7 and 4.8 installed the hooks in an unsafe order (fixed by commit
    17ee5853e2, 4.9).

    Look next at: when the domain's first device was assigned; `pi dXvY`; whether the vCPU is on a list (`blocked`).
    """
    for vcpu, pi in settled(snapshot):
        if snapshot.pi_wakeup_vector and pi.nv != snapshot.pi_wakeup_vector:
            yield Found(
                vcpu.name,
                f"is blocked, but NV is {pi.nv:#x} and not the wakeup vector {snapshot.pi_wakeup_vector:#x}: "
                "a posted interrupt does not wake it",
            )


@rule("D2", "unlisted", "a blocked vCPU is on no list", needs=(DESCRIPTORS, LISTS))
def unlisted(snapshot: Snapshot) -> Iterator[Found]:
    """The handler of the wakeup vector finds the vCPUs to wake on its CPU's list. One that is on no list is not found.

    How it comes about: it blocked before the hooks were installed; or a list was set up anew while vCPUs were on it.
    For an instant it is legal: the wakeup handler takes a vCPU off before it wakes it.

    Look next at: other rules about lists (D9, D12); whether the machine slept or CPUs went offline.
    """
    for vcpu, _ in settled(snapshot):
        if not vcpu.lock and vcpu.blocking_list is None:
            yield Found(
                vcpu.name,
                f"is blocked and on no CPU's list: the wakeup handler cannot find it ({why(snapshot)})",
                quiet(snapshot),
                state(vcpu),
            )


@rule(
    "D3",
    "wrong-list",
    "a blocked vCPU's notifications go to another CPU than the one whose list it is on",
    needs=(DESCRIPTORS, LISTS, CPUS),
)
def wrong_list(snapshot: Snapshot) -> Iterator[Found]:
    """The wakeup vector arrives at the CPU that NDST names, and its handler looks at that CPU's list only. If the
    vCPU is on another list it is not woken; ON stays 1, so no further notification is sent.

    How it comes about: NDST was not brought up to date before the vCPU blocked. Known: Xen 4.7 and 4.8 installed the
    hooks for vCPUs that had moved since they were created (fixed by commit 17ee5853e2, 4.9). The scheduler may move a
    blocked vCPU: its processor may differ, list and NDST may not. For an instant it is legal while a CPU goes offline
    (`vmx_pi_desc_fixup`).

    Look next at: `blocked`, `pi dXvY`; whether ON is set (then a notification is lost already).
    """
    for vcpu, pi in settled(snapshot):
        owner = snapshot.by_cpu.get(vcpu.blocking_list) if vcpu.blocking_list is not None else None
        if owner is None or snapshot.x2apic is None:
            continue
        apic = ndst_apic_id(pi.ndst, snapshot.x2apic)
        if apic != owner.apic_id:
            yield Found(
                vcpu.name,
                f"is blocked on the list of CPU {owner.cpu} (APIC {owner.apic_id:#x}), but NDST sends to APIC "
                f"{apic:#x}: the wakeup vector arrives where nobody looks for it ({why(snapshot)})",
                quiet(snapshot),
                state(vcpu),
            )


@rule("D4", "unanswered", "a blocked vCPU has an outstanding notification that nobody answers", needs=(DESCRIPTORS,))
def unanswered(snapshot: Snapshot) -> Iterator[Found]:
    """ON=1 says that the wakeup vector is on its way. Until its handler has run, the unit sends no other: if the
    vector is not pending at the destination either, the vCPU sleeps on, whatever is posted.

    How it comes about: the vector went to a CPU that does not have the vCPU on its list (D3), that is offline (D16), or
    was sent as the notification vector, which wakes nobody (D1). For an instant it is legal: from the post until the
    handler has looked through its list.

    Known bugs that end so: commits 17ee5853e2 and 92fc8d10f5 (both 4.9). In the model, also a store of NV that is seen
    late by the hardware; nobody has confirmed that on a real machine.

    It is a bug where no vector that is still on its way could help, and no CPU is in the middle of this: if its handler
    would wake nobody, for NV is not the wakeup vector, or NDST names no online CPU, or one whose list the vCPU is not
    on; or if no device posts to the vCPU, by Xen's records and by the tables, for Xen itself wakes the vCPU that it
    posts to (`vmx_deliver_posted_intr`) and leaves that to no vector.

    Else it is a suspicion, also if the destination waits in MWAIT. Xen lets each interrupt end that wait, masked or not
    (ECX bit 0, or interrupts on: SDM volume 2, MWAIT); so the vector cannot have arrived earlier than its C-state's
    exit latency before the snapshot, a millisecond at most. But a device may have posted just then: on a sound machine
    that is busy with interrupts such a snapshot is no rarity, and local APICs, which would tell, are in no dump.

    Look next at: `pi dXvY`, `blocked`, and a second snapshot (`audit --again 1`).
    """
    for vcpu, pi in settled(snapshot):
        cpu = destination(snapshot, pi.ndst)
        pending = pending_at(cpu, pi.nv)
        if not pi.on or pending:
            continue
        where = (
            "pending at no CPU, for NDST names none that is known" if cpu is None else f"not pending at CPU {cpu.cpu}"
        )
        waits = f"; PIR holds {named(pi.pir)}" if pi.pir else ""
        hopeless = quiet(snapshot) and _hopeless(snapshot, vcpu, pi, cpu)
        doubt = f"({hopeless}; {why(snapshot)})" if hopeless else _on_its_way(pending, cpu)
        message = f"is blocked with ON=1, and vector {pi.nv:#x} is {where} {doubt}{waits}: nothing wakes it"
        yield Found(vcpu.name, message, bool(hopeless), state(vcpu))


def _hopeless(snapshot: Snapshot, vcpu: Vcpu, pi: Descriptor, cpu: Cpu | None) -> str | None:
    """Why no vector that is on its way would wake a blocked vCPU with ON=1; None if one might."""
    if snapshot.pi_wakeup_vector and pi.nv != snapshot.pi_wakeup_vector:
        return "and its handler wakes nobody"
    # A CPU that keeps its area may be going offline just now, or be coming.
    gone = cpu is None or (not cpu.online and cpu.offset is None)
    if snapshot.x2apic is not None and snapshot.online and gone:
        return "and no online CPU would take it"
    if cpu and LISTS.missing(snapshot) is None and vcpu.blocking_list != cpu.cpu:
        return f"and its handler would not find the vCPU on CPU {cpu.cpu}'s list"
    recorded = RECORDS.missing(snapshot) is None and not any(a.member in ("msis", "irqs") for a in snapshot.absences)
    if recorded and pi.address not in {msi.pi_desc for msi in snapshot.msis} | _referred(snapshot):
        return "and no device posts to it: Xen, which does, wakes whom it posts to itself"
    return None


def _on_its_way(pending: bool | None, cpu: Cpu | None) -> str:
    if not (cpu and cpu.in_mwait):
        return on_its_way(pending)
    unread = "" if pending is False else ", and local APICs cannot be read here"
    now = f"it may have been sent just now{unread}"
    return f"(a suspicion: CPU {cpu.cpu} waits in MWAIT, which the vector would end; {now})"


@rule("D5", "stranded-vector", "a posted vector that nothing will deliver", needs=(DESCRIPTORS,))
def stranded_vector(snapshot: Snapshot) -> Iterator[Found]:
    """PIR holds a vector, ON=0 and SN=0: no notification is outstanding, and none was suppressed. Before a VM entry Xen
    looks at PIR only if ON is set (`vmx_sync_pir_to_irr`); the processor, only when it is notified. So the vector waits
    for the next post of another vector. If the vCPU is blocked, its wake-up is lost.

    How it comes about: the vector was posted while SN=1 (preempted), and SN was cleared without a look at PIR. VT-d
    5.2.5 asks for that look; Linux got it with commit c112b5f50232 (2019). In the model, Xen from 4.7 on can come here;
    no maintainer has confirmed it. Also: Xen's own posting takes two steps, PIR then ON, so the state is legal for
    nanoseconds.

    Known bug that ends so: hooks dropped from a preempted vCPU, whose SN then stays 1 (commit 7c00de1756, 4.9).

    Look next at: a second snapshot (`audit --again 1`, or `audit --with LATER`): a vCPU that did not run in between,
    with the same PIR, has lost a wake-up.
    """
    for vcpu, pi in hooked(snapshot):
        if not pi.pir or pi.on or pi.sn or not (vcpu.is_running or vcpu.blocked):
            continue
        what = f"{named(pi.pir)} posted in PIR with ON=0 and SN=0"
        if vcpu.blocked and not vcpu.is_running:
            doubt = (
                why(snapshot) if quiet(snapshot) else "a suspicion: a CPU in Xen may be between the two steps of a post"
            )
            message = f"is blocked with {what}: its wake-up is lost until something else is posted ({doubt})"
            yield Found(vcpu.name, message, quiet(snapshot), state(vcpu))
        else:
            message = (
                f"runs with {what}: not delivered until something else is posted (a suspicion: it may be in progress)"
            )
            yield Found(vcpu.name, message, False, state(vcpu))


@rule("D13", "blocked-suppressed", "a blocked vCPU's notifications are suppressed", needs=(DESCRIPTORS,))
def blocked_suppressed(snapshot: Snapshot) -> Iterator[Found]:
    """SN=1 records posts in PIR and notifies nobody. A blocked vCPU with SN=1 is never woken by a device.

    How it comes about: `vmx_pi_switch_from` leaves SN alone if the vCPU is blocked, so SN was set some other way. For
    an instant it is legal: `vmx_pi_desc_fixup` sets SN while it moves the vCPUs of an offline CPU.

    Look next at: whether a CPU is going offline; `pi dXvY`.
    """
    for vcpu, pi in settled(snapshot):
        if pi.sn:
            message = f"is blocked with SN=1: posts are recorded and wake nobody ({why(snapshot)})"
            yield Found(vcpu.name, message, quiet(snapshot), state(vcpu))


@rule("D16", "nobody-there", "notifications go to a CPU that is not online", needs=(DESCRIPTORS, CPUS))
def nobody_there(snapshot: Snapshot) -> Iterator[Found]:
    """A notification to an APIC ID that no online CPU has is lost, without a fault. ON stays 1, so the unit sends no
    other.

    How it comes about: a CPU went offline with blocked vCPUs on its list; since commit 92fc8d10f5 (4.9),
    `vmx_pi_desc_fixup` moves them, so for an instant it is legal. Before, they stayed, on a list in freed memory. Or
    the ID was written in the other APIC mode's form. A preempted vCPU's NDST may be stale; nothing is sent while
    SN=1.

    From 4.9 on, a new vCPU's NDST is 0xffffffff until a hook sees it; no posted entry may refer to such a vCPU.

    Look next at: `info` for the online CPUs, `blocked` for their lists.
    """
    referred = _referred(snapshot)
    for vcpu, pi in described(snapshot):
        if pi.ndst == MARKER and pi.address in referred:
            yield Found(vcpu.name, "is referred to by a posted entry, and its NDST is 0xffffffff: no CPU is notified")
    for vcpu, pi in hooked(snapshot):
        if pi.ndst == MARKER:
            continue
        if pi.sn or vcpu.is_running or not vcpu.blocked or snapshot.x2apic is None or not snapshot.online:
            continue
        cpu = destination(snapshot, pi.ndst)
        if cpu is None or not cpu.online:
            apic = ndst_apic_id(pi.ndst, snapshot.x2apic)
            going = cpu is not None and cpu.offset is not None
            doubt = " (a suspicion: that CPU may be going offline just now)" if going else ""
            message = (
                f"is blocked, and NDST sends to APIC {apic:#x}, which no online CPU has: notifications are lost{doubt}"
            )
            yield Found(vcpu.name, message, not going, state(vcpu))


@rule(
    "D30",
    "unseen-interrupt",
    "a blocked vCPU has an interrupt in its virtual local APIC that it could take",
    needs=(DESCRIPTORS,),
)
def unseen_interrupt(snapshot: Snapshot) -> Iterator[Found]:
    """A vCPU blocks only if nothing is to be delivered (`vcpu_block`), and who sets a vector in the IRR of its virtual
    local APIC wakes it. So a blocked vCPU whose highest vector there has a higher class (bits 7:4) than its priority,
    the higher of TPR and the highest vector in ISR, ought to have been woken. Nothing wakes it now but another event.

    How it comes about: a look for interrupts moves PIR to IRR and clears ON (`vmx_sync_pir_to_irr`); the handler of the
    wakeup vector then finds ON=0 and passes the vCPU by. In the model that happens to a post after `vcpu_block` has
    decided and before the vCPU is switched out, on the way to VM entry; and when the context of a paused domain is
    saved (`hvm_save`). No maintainer has confirmed it.

    For an instant it is legal: between setting the vector and `vcpu_unblock`, in `vlapic_set_irq` without posting, and
    in a software post whose target moves PIR to IRR in between. Xen does not leave these two half done, so it is a
    suspicion if a CPU executes Xen, else a bug. Also suspicions: ON=1, for then a wake-up may be on its way, late;
    PPR higher than TPR and ISR tell; and RFLAGS.IF not known.

    Silent if the vCPU is paused, offline, or polls for event channels; if it cannot take interrupts (RFLAGS.IF=0, its
    APIC disabled); and if TPR is not known. How a guest's own hypervisor holds interrupts back is not looked at.

    Look next at: `vcpus dXvY`; a second snapshot (`audit --again 1`), which confirms it if the vCPU has not run;
    whether somebody saved the domain's context (`xen-hvmctx`).
    """
    for vcpu, _ in described(snapshot):
        waits = vcpu.blocked and vcpu.is_running is False and not vcpu.pause_count and not vcpu.pause_flags & DOWN
        takes = not (vcpu.polling or vcpu.apic_off or vcpu.interruptible is False)
        if not waits or not takes or not vcpu.irr or vcpu.isr is None or vcpu.tpr is None:
            continue
        vector, priority = max(vcpu.irr), max(vcpu.tpr, *vcpu.isr, 0)
        if vector >> 4 <= priority >> 4:
            continue
        doubt = _doubt(snapshot, vcpu, vector)
        message = (
            f"is blocked with {named((vector,))} in its virtual APIC's IRR, and priority {priority:#x} does not hold "
            f"it back: it ought to have been woken, and sleeps until something else happens "
            f"({f'a suspicion: {doubt}' if doubt else why(snapshot)})"
        )
        yield Found(vcpu.name, message, not doubt, (*state(vcpu), vcpu.irr, vcpu.isr, vcpu.tpr))


def _doubt(snapshot: Snapshot, vcpu: Vcpu, vector: int) -> str | None:
    """Why a vector that a blocked vCPU could take is no more than a suspicion; None if it is certain."""
    if vcpu.pi and vcpu.pi.on:
        return "ON=1, so its wake-up may be on its way"
    if vcpu.ppr is not None and vector >> 4 <= vcpu.ppr >> 4:
        return f"by PPR={vcpu.ppr:#x} it would have to wait"
    if not quiet(snapshot):
        return "a CPU in Xen may be about to wake it"
    return "its RFLAGS.IF is not known" if vcpu.interruptible is None else None


def _referred(snapshot: Snapshot) -> set[int]:
    from inspector.audit.entries import posted

    return {pda for unit in snapshot.units for pda in posted(unit)["pda"].tolist()}
