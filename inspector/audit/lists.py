"""The per-CPU lists of blocked vCPUs: are they whole, and is everyone on them rightly?"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.audit.evidence import described, state
from inspector.audit.rule import CPUS, DESCRIPTORS, LISTS, Found, rule
from inspector.model.snapshot import BLOCK, BlockingList, Snapshot


@rule("D9", "half-listed", "a vCPU's lock pointer and the lists disagree", needs=(DESCRIPTORS, LISTS))
def half_listed(snapshot: Snapshot) -> Iterator[Found]:
    """`pi_blocking.lock` names the lock of the list that the vCPU is on, and is NULL if it is on none. If the two
    disagree, Xen takes it off a list that it is not on, or leaves it on one for ever.

    How it comes about: a list was set up anew with vCPUs on it (in the model, CPU 0's on resume from S3; nobody has
    confirmed that), or a node was unlinked under another list's lock. For an instant, with the list's lock held, it is
    legal.

    Look next at: `blocked`; the other rules about lists.
    """
    owner = {of_cpu.lock: of_cpu for of_cpu in snapshot.lists}
    for vcpu, _ in described(snapshot):
        named = owner.get(vcpu.lock)
        if vcpu.lock and named and vcpu.blocking_list != named.cpu and not named.broken:
            there = "it is on none" if vcpu.blocking_list is None else f"it is on CPU {vcpu.blocking_list}'s"
            message = f"its lock pointer names CPU {named.cpu}'s list, but {there}"
        elif not vcpu.lock and vcpu.blocking_list is not None:
            message = f"it is on CPU {vcpu.blocking_list}'s list, but its lock pointer is NULL"
        else:
            continue
        certain = not any(of_cpu.locked for of_cpu in snapshot.lists)
        yield Found(vcpu.name, message + _held(certain), certain, state(vcpu))


@rule("D10", "lock-nowhere", "a vCPU's lock pointer leads to no list", needs=(DESCRIPTORS, LISTS))
def lock_nowhere(snapshot: Snapshot) -> Iterator[Found]:
    """`pi_blocking.lock` must point into a live per-CPU area. Otherwise the next VM entry of the vCPU takes a lock in
    memory that is something else by now.

    How it comes about: the CPU whose list it was on went offline and its per-CPU area was freed (Xen 4.7 and 4.8;
    fixed by commit 92fc8d10f5, 4.9), or memory was overwritten.

    Look next at: CPUs that went offline; `pi dXvY`.
    """
    if not snapshot.lists:
        return
    locks = {of_cpu.lock for of_cpu in snapshot.lists}
    for vcpu, _ in described(snapshot):
        if vcpu.lock and vcpu.lock not in locks:
            yield Found(vcpu.name, f"its lock pointer {vcpu.lock:#x} is the lock of no CPU's list")


@rule("D11", "foreign-node", "somebody is on a list who must not be", needs=(DESCRIPTORS, LISTS))
def foreign_node(snapshot: Snapshot) -> Iterator[Found]:
    """Only vCPUs of domains that have the posting hooks may be on a list. A node that is no vCPU's lies in freed
    memory, and the wakeup handler reads and writes it. A vCPU without hooks is never taken off: nothing resumes it
    so.

    How it comes about: the last device left while the vCPU was blocked, and then the domain was destroyed (Xen 4.7 and
    4.8; fixed by commit 9152b5f8d9, 4.9). NV that stays the wakeup vector after the hooks are gone is a trace of the
    same. For an instant it is legal while the domain is paused in `vmx_pi_hooks_deassign`.

    Look next at: `blocked`; which domains were destroyed or lost their devices.
    """
    # Where it is not known which vCPUs there are, or where their nodes lie, no node is a stranger.
    known = bool(snapshot.vcpus) and all(vcpu.node for vcpu in snapshot.vcpus if vcpu.hvm)
    for of_cpu in snapshot.lists if known else ():
        strangers = [node for node in of_cpu.nodes if node.vcpu is None]
        if strangers:
            more = f", and {len(strangers) - 1} more" if len(strangers) > 1 else ""
            message = f"node {strangers[0].address:#x} of its list is no vCPU's{more}: freed memory, or a corrupt list"
            yield Found(f"CPU {of_cpu.cpu}", message)
    for vcpu, pi in described(snapshot):
        if BLOCK in vcpu.hooks or not (vcpu.blocking_list is not None or _wakes(snapshot, pi.nv)):
            continue
        certain = not vcpu.pause_count
        listed = vcpu.blocking_list is not None
        where = f"it is on CPU {vcpu.blocking_list}'s list" if listed else "NV is still the wakeup vector"
        doubt = "" if certain else " (a suspicion: its domain is paused, perhaps to remove them)"
        yield Found(vcpu.name, f"its domain has no posting hooks, yet {where}{doubt}", certain, state(vcpu))


@rule("D12", "broken-list", "a list of blocked vCPUs is not whole", needs=(LISTS,), linux=((5, 17), None))
def broken_list(snapshot: Snapshot) -> Iterator[Found]:
    """Each node's neighbours must point back to it, and the last one to the head. On a list that does not, the wakeup
    handler loops with interrupts off, crashes, or misses vCPUs.

    How it comes about: a node that was still on a list was added again (Xen 4.7 and 4.8 after a device was removed and
    assigned once more; fixed by commit 9152b5f8d9, 4.9), or two CPUs changed a list under different locks. For an
    instant, with the list's lock held, one pointer may be behind.

    Look next at: `blocked`, which shows the nodes up to where it breaks.
    """
    for of_cpu in snapshot.lists:
        subject = f"CPU {of_cpu.cpu}"
        if of_cpu.broken:
            yield Found(subject, f"its list of blocked vCPUs is broken: {of_cpu.broken}")
        elif lie := _inconsistent(of_cpu):
            certain = not of_cpu.locked
            yield Found(subject, f"its list of blocked vCPUs is inconsistent: {lie}{_held(certain)}", certain, (lie,))
    for vcpu, _ in described(snapshot):
        if vcpu.node and vcpu.lock and vcpu.following == vcpu.node:
            certain = not any(of_cpu.locked for of_cpu in snapshot.lists)
            message = f"its list node points to itself, and its lock pointer says that it is on a list{_held(certain)}"
            yield Found(vcpu.name, message, certain, state(vcpu))


@rule("D27", "offline-list", "vCPUs are on the list of a CPU that is offline", since=(4, 9), needs=(LISTS, CPUS))
def offline_list(snapshot: Snapshot) -> Iterator[Found]:
    """`vmx_pi_desc_fixup` empties the list of a CPU that went offline: nothing ever looks at it again. Legal only until
    that has run.

    Known: Xen before 4.9 had no such function (commit 92fc8d10f5).

    Look next at: a second snapshot (`audit --again 1`).
    """
    for of_cpu in snapshot.lists:
        cpu = snapshot.by_cpu.get(of_cpu.cpu)
        if cpu and not cpu.online and of_cpu.nodes:
            who = ", ".join(node.vcpu or f"{node.address:#x}" for node in of_cpu.nodes)
            message = f"is offline, and its list still holds {who} (a suspicion: they may be moved in a moment)"
            yield Found(f"CPU {cpu.cpu}", message, False, tuple(node.address for node in of_cpu.nodes))


def _wakes(snapshot: Snapshot, nv: int) -> bool:
    return bool(snapshot.pi_wakeup_vector) and nv == snapshot.pi_wakeup_vector


def _held(certain: bool) -> str:
    return "" if certain else " (a suspicion: a list's lock is held, it may be changing)"


def _inconsistent(of_cpu: BlockingList) -> str | None:
    """The first pointer back that is not where the list came from."""
    if not of_cpu.following:
        return None
    before = of_cpu.head
    for node in of_cpu.nodes:
        if node.preceding != before:
            return f"{node.vcpu or hex(node.address)} points back to {node.preceding:#x}, not to {before:#x}"
        before = node.address
    if of_cpu.preceding != before:
        return f"the head points back to {of_cpu.preceding:#x}, not to {before:#x}"
    return None
