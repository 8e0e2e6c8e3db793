"""Interrupt-remapping entries that post to vCPUs of KVM's, against KVM's irqfds."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.analysis.sources import InterruptSources
from inspector.audit.entries import chosen, posted, subject
from inspector.audit.rule import DESCRIPTORS, ENTRIES, IRQS, Found, rule
from inspector.model.kvm import Irqfd
from inspector.model.snapshot import Domain, Snapshot
from structs.arrays import np


@rule(
    "D53",
    "stray-post",
    "a posted entry leads to no descriptor of KVM's or of a CPU",
    needs=(ENTRIES, DESCRIPTORS),
    linux=(None, None),
    xen=False,
)
def stray_post(snapshot: Snapshot) -> Iterator[Found]:
    """The hardware sets a bit in whatever memory a posted entry's PDA names. It must be the descriptor of a live vCPU,
    or a CPU's own (`posted_msi_pi_desc`, CONFIG_X86_POSTED_MSI).

    How it comes about: the entry outlived its vCPU: it was not set back to the host's when its VM ended, or when its
    MSI was routed elsewhere (D54). Silent if not all VMs could be read, and where kvm_intel is not loaded.

    Look next at: `route irte N`, `irte N`, `faults` (0x27, 0x28).
    """
    if not snapshot.vcpus or any(each.member in ("domains", "vcpus", "pi") for each in snapshot.absences):
        return
    own = [cpu.posted_msi.address for cpu in snapshot.cpus if cpu.posted_msi]
    live = np.array(sorted([*snapshot.by_descriptor, *own]), "<u8")
    for unit in snapshot.units:
        table = posted(unit)
        for row in chosen(table, ~np.isin(table["pda"], live)):
            message = f"is posted to {row['pda']:#x}, which is no live vCPU's descriptor: hardware writes there"
            yield Found(subject(unit, row["index"]), message)


@rule(
    "D54",
    "posted-otherwise",
    "an entry posts to another vCPU, or another vector, than the guest has asked for",
    needs=(ENTRIES, DESCRIPTORS, IRQS),
    linux=(None, None),
    xen=False,
)
def posted_otherwise(snapshot: Snapshot) -> Iterator[Found]:
    """A device's interrupt is given to a VM by an irqfd, whose producer names the host's irq and whose `irq_entry` is
    the MSI that the guest programmed. vmx_pi_update_irte lets the irq's entry post to that MSI's vCPU and vector, and
    sets the entry back to the host's if it is none that can be posted (not an MSI, no fixed or lowest-priority
    delivery, not one vCPU), or is bound to no VM any more.

    Known: the entry stayed posted after the guest had routed its interrupt so that it could not be (commits
    9bcac97dc42d and bcda70c56f3e, 6.15, and in stable kernels). For an instant, while the route changes, it is legal.

    A destination in logical mode is told by the guest's APICs only: then the vCPU is not looked at.

    Look next at: `route irte N`, `irqs`.
    """
    bound = {
        irqfd.irq: (domain, irqfd)
        for domain in snapshot.domains
        for irqfd in domain.irqfds or ()
        if irqfd.irq is not None
    }
    if any(each.member == "domains" for each in snapshot.absences):
        return
    sources = InterruptSources(snapshot)
    for unit in snapshot.units:
        table = posted(unit)
        for row in chosen(table, np.isin(table["pda"], np.array(sorted(snapshot.by_descriptor), "<u8"))):
            msi = sources.msi(unit, row)
            if msi is None:
                continue
            wrong = _wrong(snapshot, row, msi.irq, bound.get(msi.irq))
            if wrong:
                place = subject(unit, row["index"])
                yield Found(place, f"{wrong} (a suspicion: its route may be changing)", False, (wrong,))


def _wrong(snapshot: Snapshot, row: dict[str, int], irq: int, of: tuple[Domain, Irqfd] | None) -> str | None:
    vcpu = snapshot.by_descriptor[row["pda"]]
    if of is None:
        return f"is posted to {vcpu.name}, but no VM has irq {irq}"
    domain, irqfd = of
    asked = f"{domain.name} GSI {irqfd.gsi}"
    if domain.domain != vcpu.domain:
        return f"is posted to {vcpu.name}, but irq {irq} is {asked}"
    if irqfd.vector is None:
        return f"is posted to {vcpu.name}, but {asked} is routed to no MSI"
    if irqfd.vector != row["vector"]:
        return f"posts vector {row['vector']:#x}, but {asked} is vector {irqfd.vector:#x}"
    if irqfd.vcpu is not None and irqfd.vcpu != vcpu.vcpu:
        return f"is posted to {vcpu.name}, but {asked} goes to vCPU {irqfd.vcpu}"
    if irqfd.postable is False and irqfd.vcpu is not None:
        return f"is posted to {vcpu.name}, but {asked} is of a delivery mode that is not posted"
    return None
