"""vCPUs of KVM's and the wakeup lists: will what is posted be seen, and will a blocked vCPU be woken?

Unlike Xen, KVM sets SN of a vCPU that is not running, and leaves a vCPU on the list until it is loaded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inspector.audit.evidence import destination, named
from inspector.audit.rule import CPUS, DESCRIPTORS, LISTS, WARNING, Found, rule
from inspector.model.kvm import KvmVcpu
from inspector.model.snapshot import Descriptor, Snapshot, Vcpu

LISTED = (5, 17), None
"""From d76fb40637fc on descriptors are updated as a vCPU is loaded and put, and lists are `wakeup_vcpus_on_cpu`."""
SUPPRESSED = (6, 17)
"""From 6737557442e5 on SN is set of each vCPU that is put, unless it is put on a wakeup list."""


def described(snapshot: Snapshot) -> Iterator[tuple[Vcpu, KvmVcpu, Descriptor]]:
    """KVM's vCPUs with a descriptor."""
    return ((vcpu, vcpu.kvm, vcpu.pi) for vcpu in snapshot.vcpus if vcpu.kvm and vcpu.pi)


def unloaded(snapshot: Snapshot) -> Iterator[tuple[Vcpu, KvmVcpu, Descriptor]]:
    """Those that no CPU has loaded, and that were loaded before: nobody is changing their descriptor but who posts."""
    return ((vcpu, kvm, pi) for vcpu, kvm, pi in described(snapshot) if kvm.loaded_on is None and vcpu.cpu is not None)


def wakes(snapshot: Snapshot, pi: Descriptor) -> bool:
    """Whether NV is the wakeup vector."""
    return bool(snapshot.pi_wakeup_vector) and pi.nv == snapshot.pi_wakeup_vector


def state(vcpu: Vcpu, kvm: KvmVcpu, pi: Descriptor) -> tuple[Any, ...]:
    """What stays the same of a vCPU that has not run; all of it may, if how often it has run is not known."""
    ran = object() if kvm.exits is None else kvm.exits
    return ran, kvm.loaded_on, kvm.blocking, kvm.preempted, kvm.runnable, pi.pir, pi.on, pi.sn, pi.nv, pi.ndst


@rule(
    "D41",
    "wakeup-unlisted",
    "a vCPU of KVM's expects the wakeup vector and is on no wakeup list",
    needs=(DESCRIPTORS, LISTS),
    linux=LISTED,
    xen=False,
)
def wakeup_unlisted(snapshot: Snapshot) -> Iterator[Found]:
    """pi_wakeup_handler finds the vCPUs to wake on its CPU's list. One whose NV is the wakeup vector and that is on no
    list is not found, and whatever is posted to it waits until something else wakes its thread.

    pi_enable_wakeup_handler puts it on the list before it changes NV, and vmx_vcpu_pi_load takes it off while the CPU
    has it loaded; so of a vCPU that no CPU has loaded it is never legal. Silent if a list cannot be read to its end.

    Look next at: `blocked`, `vcpus vmPvN`.
    """
    if any(of_cpu.broken for of_cpu in snapshot.lists) or _lists_missing(snapshot):
        return
    for vcpu, _, pi in unloaded(snapshot):
        if wakes(snapshot, pi) and vcpu.blocking_list is None:
            yield Found(vcpu.name, "NV is the wakeup vector, and it is on no CPU's wakeup list: nothing finds it there")


@rule(
    "D42",
    "wakeup-elsewhere",
    "a vCPU of KVM's is on another CPU's wakeup list than the one that it notifies",
    needs=(DESCRIPTORS, LISTS, CPUS),
    linux=LISTED,
    xen=False,
)
def wakeup_elsewhere(snapshot: Snapshot) -> Iterator[Found]:
    """The wakeup vector arrives at the CPU that NDST names, and its handler looks at that CPU's list only. NDST, the
    list, and `kvm_vcpu.cpu`, by which vmx_vcpu_pi_load finds the list's lock, name one CPU: where the vCPU was last
    loaded. If `kvm_vcpu.cpu` differs, it is taken off under the wrong lock.

    Look next at: `blocked`, `pi vmPvN`.
    """
    for vcpu, _, pi in unloaded(snapshot):
        owner = snapshot.by_cpu.get(vcpu.blocking_list) if vcpu.blocking_list is not None else None
        if owner is None or snapshot.x2apic is None:
            continue
        named_cpu = destination(snapshot, pi.ndst)
        if named_cpu is not owner:
            where = f"CPU {named_cpu.cpu}" if named_cpu else f"{pi.ndst:#x}, which no CPU has"
            message = f"is on CPU {owner.cpu}'s wakeup list, but NDST names {where}: the wakeup vector arrives there"
            yield Found(vcpu.name, message)
        elif vcpu.cpu != owner.cpu:
            message = f"is on CPU {owner.cpu}'s wakeup list, but was last loaded on CPU {vcpu.cpu}"
            yield Found(vcpu.name, f"{message}: it is taken off under the lock of the wrong list")


@rule(
    "D43",
    "neither-vector",
    "NV of a vCPU of KVM's is neither the notification nor the wakeup vector",
    needs=(DESCRIPTORS,),
    linux=LISTED,
    xen=False,
)
def unknown_vector(snapshot: Snapshot) -> Iterator[Found]:
    """vmx_vcpu_create sets NV to POSTED_INTR_VECTOR (0xf2); from then on it is that or the wakeup vector (0xf1).
    With any other a notification wakes nobody and is taken in by no guest.

    How it comes about: the descriptor was cleared or overwritten.

    Look next at: `pi vmPvN --bytes`.
    """
    for vcpu, _, pi in described(snapshot):
        if pi.nv not in (snapshot.posted_intr_vector, snapshot.pi_wakeup_vector):
            yield Found(vcpu.name, f"NV is {pi.nv:#x}, neither the notification nor the wakeup vector")


@rule(
    "D44",
    "loaded-elsewhere",
    "a vCPU of KVM's that a CPU has loaded notifies another one",
    needs=(DESCRIPTORS, CPUS),
    linux=LISTED,
    xen=False,
)
def loaded_elsewhere(snapshot: Snapshot) -> Iterator[Found]:
    """vmx_vcpu_pi_load lets NDST name the CPU, and sets NV to the notification vector, before `kvm_vcpu.cpu` names it
    too. With another NDST a post to the running vCPU interrupts a CPU that has nothing to do with it, and is seen at
    the next VM exit only. Silent where APICv is off, for then KVM leaves the descriptor alone.

    Look next at: `pi vmPvN`, `cpus`.
    """
    for vcpu, kvm, pi in described(snapshot):
        owner = snapshot.by_cpu.get(kvm.loaded_on) if kvm.loaded_on is not None else None
        settled = vcpu.in_guest and vcpu.cpu == kvm.loaded_on and kvm.wakes
        if owner is None or not settled or snapshot.x2apic is None:
            continue
        if destination(snapshot, pi.ndst) is not owner:
            yield Found(
                vcpu.name, f"CPU {owner.cpu} has it in its guest, but NDST is {pi.ndst:#x}, which is not that CPU"
            )
        elif wakes(snapshot, pi):
            message = f"CPU {owner.cpu} has it in its guest, and NV is still the wakeup vector: the processor does not "
            yield Found(vcpu.name, f"{message}take PIR in on that")


@rule(
    "D45",
    "suppressed-in-guest",
    "a vCPU of KVM's is in its guest with SN=1",
    needs=(DESCRIPTORS,),
    linux=LISTED,
    xen=False,
)
def suppressed_in_guest(snapshot: Snapshot) -> Iterator[Found]:
    """vmx_vcpu_pi_load clears SN, so while a vCPU is in its guest each device's post notifies. With SN=1 it is recorded
    in PIR, ON stays 0, and the guest hears of it after its next VM exit only if something sets ON. SN=1 of a vCPU that
    no CPU has loaded is normal: preempted, never loaded, or from 6.17 on (commit 6737557442e5) put at all.

    Look next at: `pi vmPvN`.
    """
    for vcpu, kvm, pi in described(snapshot):
        if vcpu.in_guest and pi.sn and kvm.wakes:
            waits = f"; PIR holds {named(pi.pir)}" if pi.pir else ""
            yield Found(vcpu.name, f"is in its guest with SN=1: devices' posts do not notify it{waits}")


@rule(
    "D46",
    "foreign-wakeup-node",
    "a node of a wakeup list is no live vCPU's",
    needs=(LISTS,),
    linux=LISTED,
    xen=False,
)
def foreign_wakeup_node(snapshot: Snapshot) -> Iterator[Found]:
    """pi_wakeup_handler reads and wakes what the nodes of its list lie in. A vCPU that is freed while it is on the list
    leaves it in freed memory. A VM leaves `vm_list` before its vCPUs are freed, and each of these is loaded once more
    on the way, which takes it off. Silent if not all VMs could be read.

    Look next at: `blocked N`; which VMs have ended.
    """
    unread = any(each.member in ("domains", "vcpus") for each in snapshot.absences)
    known = bool(snapshot.vcpus) and not unread and all(vcpu.node for vcpu in snapshot.vcpus)
    for of_cpu in snapshot.lists if known else ():
        strangers = [node for node in of_cpu.nodes if node.vcpu is None]
        if strangers:
            more = f", and {len(strangers) - 1} more" if len(strangers) > 1 else ""
            held = " (a suspicion: its lock is held, it may be changing)" if of_cpu.locked else ""
            message = f"node {strangers[0].address:#x} of its wakeup list is no vCPU's{more}: freed memory{held}"
            places = tuple(node.address for node in strangers)
            yield Found(f"CPU {of_cpu.cpu}", message, not of_cpu.locked, places)


@rule(
    "D47",
    "offline-wakeup-list",
    "vCPUs of KVM's are on the wakeup list of a CPU that is offline",
    needs=(LISTS, CPUS),
    linux=LISTED,
    xen=False,
)
def offline_wakeup_list(snapshot: Snapshot) -> Iterator[Found]:
    """A CPU that is offline handles no wakeup vector. Nothing in posted_intr.c moves a list as a CPU goes offline, as
    Xen's vmx_pi_desc_fixup does: a vCPU that blocked there before is woken by no device, until something else does. So
    it is in the model; no maintainer has confirmed it.

    Look next at: `blocked`, `cpus`; whether CPUs were taken offline.
    """
    for of_cpu in snapshot.lists:
        cpu = snapshot.by_cpu.get(of_cpu.cpu)
        if cpu and not cpu.online and of_cpu.nodes:
            who = ", ".join(node.vcpu or f"{node.address:#x}" for node in of_cpu.nodes)
            yield Found(f"CPU {cpu.cpu}", f"is offline, and its wakeup list holds {who}: no device wakes them")


@rule(
    "D48",
    "unanswered-wakeup",
    "a blocked vCPU of KVM's has an outstanding wakeup that nobody answers",
    needs=(DESCRIPTORS, LISTS),
    linux=LISTED,
    xen=False,
)
def unanswered_wakeup(snapshot: Snapshot) -> Iterator[Found]:
    """ON=1 with NV=wakeup says that the wakeup vector is on its way, from the unit or from pi_enable_wakeup_handler,
    which sends it to its own CPU. Its handler wakes the thread. Until ON is cleared, which the next VM entry does, the
    unit sends no other: if the vector was lost, the vCPU sleeps on, whatever is posted.

    For an instant it is legal: from the post until the handler has run. So it is a suspicion.

    Look next at: a second snapshot (`audit --again 1`, or `audit --with LATER`); D42, D47.
    """
    for vcpu, kvm, pi in unloaded(snapshot):
        if kvm.blocking and kvm.runnable is False and pi.on and wakes(snapshot, pi):
            waits = f"; PIR holds {named(pi.pir)}" if pi.pir else ""
            message = (
                "is blocked with ON=1, and its thread sleeps (a suspicion: the wakeup vector may be on its way)" + waits
            )
            yield Found(vcpu.name, message, False, state(vcpu, kvm, pi))


@rule(
    "D49",
    "stranded-post",
    "a blocked vCPU of KVM's has a posted vector that nothing will deliver",
    needs=(DESCRIPTORS,),
    linux=(None, None),
    xen=False,
)
def stranded_post(snapshot: Snapshot) -> Iterator[Found]:
    """PIR holds a vector, ON=0, SN=0, and the vCPU's thread sleeps in kvm_vcpu_block: no notification is outstanding,
    none was suppressed, and KVM, which looked before it let the thread sleep, looks at PIR only if ON is set. The
    wake-up is lost until something else is posted.

    How it comes about: the vector was posted while SN=1, and SN was cleared without a look at PIR. Known: before commit
    c112b5f50232 (5.1), vmx_vcpu_pi_load did so.

    For an instant it is legal: who posts in software sets PIR first, then ON. So it is a suspicion.

    Look next at: a second snapshot (`audit --again 1`), which confirms it if the vCPU has not run between.
    """
    for vcpu, kvm, pi in unloaded(snapshot):
        if kvm.blocking and kvm.runnable is not True and pi.pir and not pi.on and not pi.sn:
            message = (
                f"is blocked with {named(pi.pir)} posted in PIR, ON=0 and SN=0: its wake-up is lost until something "
                "else is posted (a suspicion: a post may be half done)"
            )
            yield Found(vcpu.name, message, False, state(vcpu, kvm, pi))


@rule(
    "D50",
    "wakeup-suppressed",
    "a blocked vCPU of KVM's expects the wakeup vector with SN=1",
    needs=(DESCRIPTORS,),
    linux=LISTED,
    xen=False,
)
def wakeup_suppressed(snapshot: Snapshot) -> Iterator[Found]:
    """A vCPU that waits for the wakeup vector with SN=1 never gets it: posts are recorded and nobody is told. KVM warns
    of it ("PI descriptor SN field set before blocking").

    Before 6.17 it is legal for one that was preempted between setting its wait state and sleeping: its thread is
    runnable (`preempted` is set). From commit 6737557442e5 (6.17) on such a one is put on no list.

    Look next at: `vcpus vmPvN`.
    """
    new = snapshot.linux_release is not None and snapshot.linux_release >= SUPPRESSED
    for vcpu, kvm, pi in unloaded(snapshot):
        if wakes(snapshot, pi) and pi.sn and (new or not kvm.preempted):
            yield Found(vcpu.name, "NV is the wakeup vector and SN=1: posts are recorded and wake nobody")


@rule(
    "D51",
    "put-unsuppressed",
    "a vCPU of KVM's that was put lets devices notify a CPU in vain",
    WARNING,
    needs=(DESCRIPTORS,),
    linux=(SUPPRESSED, None),
    xen=False,
)
def put_unsuppressed(snapshot: Snapshot) -> Iterator[Found]:
    """From commit 6737557442e5 (6.17) on, vmx_vcpu_pi_put sets SN of a vCPU that it does not put on a wakeup list, if
    posting needs wakeups. With SN=0 and NV=notification the first post interrupts the CPU where it last ran, which has
    nothing to do; if another vCPU is in its guest there, its PIR is taken in.

    How it comes about: the VM got its first device while the vCPU was put. It passes when it is next loaded and put.

    Look next at: `vcpus vmPvN`, `irqs`.
    """
    for vcpu, kvm, pi in unloaded(snapshot):
        if kvm.wakes and not pi.sn and not wakes(snapshot, pi) and not (kvm.blocking and kvm.runnable is not False):
            message = "no CPU has it loaded, and SN=0 with NV=notification: a post interrupts a CPU in vain"
            yield Found(vcpu.name, f"{message} (a suspicion: its VM may just have got a device)", False, (pi.nv, pi.sn))


@rule(
    "D52",
    "loaded-twice",
    "two CPUs have one vCPU of KVM's loaded",
    needs=(CPUS,),
    linux=(None, None),
    xen=False,
)
def loaded_twice(snapshot: Snapshot) -> Iterator[Found]:
    """`kvm_running_vcpu` of a CPU is the vCPU that it has loaded; its own thread has done so, which is on one CPU.

    How it comes about: memory was overwritten, or the snapshot was taken of a running machine.

    Look next at: `cpus`; a snapshot of the machine standing still.
    """
    seen: dict[str, int] = {}
    for cpu in snapshot.online:
        if cpu.loaded and cpu.loaded in seen:
            yield Found(cpu.loaded, f"CPU {seen[cpu.loaded]} and CPU {cpu.cpu} both have it loaded (kvm_running_vcpu)")
        elif cpu.loaded:
            seen[cpu.loaded] = cpu.cpu


def _lists_missing(snapshot: Snapshot) -> bool:
    return any(each.member == "lists" for each in snapshot.absences)
