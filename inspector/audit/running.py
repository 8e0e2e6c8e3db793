"""Running vCPUs: do notifications reach the CPU that runs them?"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.audit.evidence import described, hooked, named, on_its_way, pending_at, state
from inspector.audit.rule import CPUS, DESCRIPTORS, INFO, LISTS, Found, rule
from inspector.model.snapshot import MARKER, SWITCH_TO, Snapshot
from structs.pi_desc import ndst_apic_id


@rule("D6", "running-suppressed", "a running vCPU's notifications are suppressed", needs=(DESCRIPTORS,))
def running_suppressed(snapshot: Snapshot) -> Iterator[Found]:
    """SN=1 is for a vCPU that does not run. In the guest with SN=1, posts stay in PIR, and virtual IPIs with them.

    How it comes about: the switch_to hook, which clears SN, was not called. Known: Xen 4.7 and 4.8 dropped all hooks
    when the last device left, also from a preempted vCPU (fixed by commit 7c00de1756, 4.9, which keeps switch_to).
    For an instant, while its CPU switches to or from it, it is legal.

    Look next at: the hooks (`vcpus`); whether a device was detached; vectors that wait in PIR (`pi dXvY`).
    """
    for vcpu, pi in described(snapshot):
        if vcpu.is_running and pi.sn:
            doubt = "" if vcpu.in_guest else " (a suspicion: its CPU may be switching to or from it)"
            waiting = f"; PIR holds {named(pi.pir)}" if pi.pir else ""
            message = f"runs with SN=1: what is posted waits in PIR and nobody is notified{waiting}{doubt}"
            yield Found(vcpu.name, message, bool(vcpu.in_guest), state(vcpu))


@rule("D7", "running-elsewhere", "a running vCPU's notifications go to another CPU", needs=(DESCRIPTORS, CPUS))
def running_elsewhere(snapshot: Snapshot) -> Iterator[Found]:
    """NDST must name the CPU that runs the vCPU. Otherwise the notification vector goes to another CPU, which raises a
    softirq for nothing, or whose guest swallows it; the vCPU learns of the interrupt at its next VM exit.

    How it comes about: NDST was not written at the last switch (Xen 4.7 and 4.8 before the hooks were installed;
    commit 17ee5853e2, 4.9), or was written by another CPU since; in the model `vmx_pi_desc_fixup` can do that to a
    vCPU that is still on the list of the CPU that went offline, which nobody has confirmed. For an instant, while its
    CPU switches to it, it is legal.

    Look next at: `pi dXvY`, the history of CPUs going offline.
    """
    for vcpu, pi in described(snapshot):
        cpu = snapshot.by_cpu.get(-1 if vcpu.cpu is None else vcpu.cpu)
        if not vcpu.is_running or SWITCH_TO not in vcpu.hooks or cpu is None or snapshot.x2apic is None:
            continue
        apic = ndst_apic_id(pi.ndst, snapshot.x2apic)
        if apic != cpu.apic_id and pi.ndst != MARKER:
            doubt = "" if vcpu.in_guest else " (a suspicion: its CPU may be switching to it)"
            message = f"runs on CPU {cpu.cpu} (APIC {cpu.apic_id:#x}), but NDST sends to APIC {apic:#x}{doubt}"
            yield Found(vcpu.name, message, bool(vcpu.in_guest), state(vcpu))


@rule(
    "D8",
    "unnoticed",
    "a vCPU in the guest has an outstanding notification that does not arrive",
    needs=(DESCRIPTORS, CPUS),
)
def unnoticed(snapshot: Snapshot) -> Iterator[Found]:
    """The processor takes posted vectors in when the notification vector arrives. With ON=1 and no such vector pending,
    it does not; and because ON=1 no other is sent. The vCPU learns of the interrupt at its next VM exit.

    How it comes about: the IPI was suppressed (Xen 4.7 and 4.8: commit b151125b4d, 4.9, in 4.7.5 and 4.8.4), PIR was
    not looked at before the VM entry because another event came first (commit 56348df32b, 4.13), or the vector went
    to another CPU (D7). For an instant it is legal: while the vector is on its way.

    Look next at: a second snapshot; pending softirqs of its CPU.
    """
    for vcpu, pi in hooked(snapshot):
        cpu = snapshot.by_cpu.get(-1 if vcpu.cpu is None else vcpu.cpu)
        pending = pending_at(cpu, snapshot.posted_intr_vector)
        if vcpu.in_guest and pi.on and not pending:
            vectors = f" for {named(pi.pir)}" if pi.pir else ""
            message = (
                f"is in the guest with ON=1{vectors}, and no notification is pending at its CPU {on_its_way(pending)}"
            )
            yield Found(vcpu.name, message, False, state(vcpu))


@rule(
    "D31",
    "not-restored",
    "a vCPU in the guest has the wakeup vector, or is on a blocking list",
    needs=(DESCRIPTORS, LISTS),
)
def not_restored(snapshot: Snapshot) -> Iterator[Found]:
    """Before VM entry Xen sets NV back to the notification vector and takes the vCPU off its list
    (`vmx_pi_do_resume`). In the guest with the wakeup vector, each post costs a VM exit and is not delivered by it; on
    a list, the vCPU is woken for nothing, and is appended a second time when it blocks again.

    How it comes about: the resume hook was not called. Known: Xen 4.7 and 4.8 dropped the hooks of a blocked vCPU when
    the last device left, and had none to restore it when the next one came (fixed by commit 9152b5f8d9, 4.9).

    Look next at: the hooks (`vcpus`); whether a device was detached and attached; `blocked`.
    """
    for vcpu, pi in hooked(snapshot):
        if not vcpu.in_guest:
            continue
        wakeup = pi.nv == snapshot.pi_wakeup_vector != snapshot.posted_intr_vector
        what = f"with NV {pi.nv:#x}, the wakeup vector" if wakeup else ""
        if vcpu.blocking_list is not None:
            what += f"{' and ' if what else ''}on CPU {vcpu.blocking_list}'s blocking list"
        if what:
            yield Found(vcpu.name, f"is in the guest {what}", True, state(vcpu))


@rule(
    "D26",
    "posted-again",
    "a vector was posted that the guest has not finished with",
    severity=INFO,
    needs=(DESCRIPTORS,),
)
def posted_again(snapshot: Snapshot) -> Iterator[Found]:
    """A vector is set in PIR and also in its virtual local APIC, requested (IRR) or in service (ISR). That is legal: it
    will be delivered once more, or merged with the one that is requested already.

    Look next at: nothing, unless the guest misses interrupts; then at whether it ever ends the one in service (EOI).
    """
    for vcpu, pi in described(snapshot):
        again = tuple(sorted(set(pi.pir) & {*(vcpu.irr or ()), *(vcpu.isr or ())}))
        if again:
            yield Found(vcpu.name, f"PIR and its virtual APIC's IRR or ISR both hold {named(again)}")
