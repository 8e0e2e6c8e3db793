"""Where a vCPU stands in the life of its posted interrupts, S1 to S15 (KVM's: K1 to K10), with the evidence.

Sources: `vmx_vcpu_block`, `vmx_pi_switch_from`, `vmx_pi_switch_to`, `vmx_pi_do_resume`, `pi_wakeup_interrupt`,
`vmx_pi_hooks_assign`, `vmx_pi_hooks_deassign`, `__context_switch`.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.analysis.kvm_situation import KVM_SITUATIONS, decide
from inspector.model.snapshot import BLOCK, SWITCH_TO, Snapshot, Vcpu
from structs.frozen import frozen

DOWN = 1 << 1
Say = Callable[[str], None]

SITUATIONS = {
    "S1": "running in the guest",
    "S2": "running, its CPU in Xen, as far as is known",
    "S3": "running after a wake-up, not yet back in the guest",
    "S4": "preempted",
    "S5": "preempted lazily: its CPU still holds its state",
    "S6": "paused or asleep",
    "S7": "about to block",
    "S8": "blocked",
    "S9": "blocked, its CPU still holds its state",
    "S10": "blocked and paused",
    "S11": "woken, not yet running",
    "S12": "blocked on the list of an offline CPU",
    "S13": "without a device: no posting hooks",
    "S14": "without a device, after it had one",
    "S15": "offline",
    **KVM_SITUATIONS,
    "between": "between two situations",
}


@frozen
class Situation:
    """A situation's id (`S8`, or `between`) and the evidence for it, in words."""

    id: str
    evidence: tuple[str, ...]

    @property
    def title(self) -> str:
        """What it is called."""
        return SITUATIONS[self.id]


def label(id: str) -> str:
    """A situation's id with what it is called: `S8 blocked`."""
    return SITUATIONS[id] if id == "between" else f"{id} {SITUATIONS[id]}"


def short_situation(label: str) -> str:
    """A label where there is little room: `S8`; one without an id as it is, but `paravirtualised` as Xen says it."""
    word = label.partition(" ")[0]
    return word if word[1:].isdigit() else {"paravirtualised": "PV"}.get(label, label)


def situation(snapshot: Snapshot, vcpu: Vcpu) -> Situation | None:
    """Where the vCPU stands; None for one that has no descriptor (a paravirtualised guest's), or none that is known."""
    evidence: list[str] = []
    if vcpu.kvm:
        return Situation(decide(snapshot, vcpu, vcpu.kvm, evidence.append), tuple(evidence))
    if vcpu.pi is None:
        return None
    return Situation(_decide(snapshot, vcpu, vcpu.pi.nv, evidence.append), tuple(evidence))


def _decide(snapshot: Snapshot, vcpu: Vcpu, nv: int, say: Say) -> str:
    if vcpu.pause_flags & DOWN:
        say("VPF_down is set")
        return "S15"
    if BLOCK not in vcpu.hooks:
        if SWITCH_TO in vcpu.hooks:
            say("its domain has the switch_to hook only")
            return "S14"
        say("its domain has no posting hooks")
        return "S13"
    if vcpu.blocked:
        return _blocked(snapshot, vcpu, say)
    if vcpu.is_running and vcpu.runstate == "running":
        return _running(snapshot, vcpu, nv, say)
    if vcpu.runstate == "offline" or (not vcpu.is_running and vcpu.pause_count):
        say(f"run state {vcpu.runstate}, pause_flags {vcpu.pause_flags:#x}, paused {vcpu.pause_count} times")
        return "S6"
    if vcpu.runstate == "runnable" and not vcpu.is_running:
        return _waiting(snapshot, vcpu, nv, say)
    say(f"run state {vcpu.runstate}, is_running {int(bool(vcpu.is_running))}, VPF_blocked clear")
    return "between"


def _blocked(snapshot: Snapshot, vcpu: Vcpu, say: Say) -> str:
    say("VPF_blocked is set")
    if vcpu.is_running:
        say("its CPU still runs it")
        return "S7"
    say("no CPU runs it")
    owner = snapshot.by_cpu.get(vcpu.blocking_list) if vcpu.blocking_list is not None else None
    say(f"on CPU {owner.cpu}'s list" if owner else "on no list")
    if owner and not owner.online:
        say(f"CPU {owner.cpu} is offline")
        return "S12"
    if vcpu.pause_count:
        say(f"paused {vcpu.pause_count} times")
        return "S10"
    if (holder := holder_of(snapshot, vcpu)) is not None:
        say(f"CPU {holder} still holds its state (curr_vcpu)")
        return "S9"
    return "S8"


def _running(snapshot: Snapshot, vcpu: Vcpu, nv: int, say: Say) -> str:
    say(f"CPU {vcpu.cpu} runs it")
    if vcpu.in_guest:
        say("that CPU executes the guest")
        return "S1"
    say("that CPU executes Xen" if vcpu.in_guest is False else "whether that CPU executes the guest is not known")
    if nv == snapshot.pi_wakeup_vector:
        say("NV is the wakeup vector: no VM entry since it was woken")
        return "S3"
    if nv == snapshot.posted_intr_vector:
        say("NV is the notification vector")
        return "S2"
    say(f"NV is {nv:#x}, neither the notification nor the wakeup vector")
    return "between"


def _waiting(snapshot: Snapshot, vcpu: Vcpu, nv: int, say: Say) -> str:
    say("runnable, no CPU runs it")
    holder = holder_of(snapshot, vcpu)
    if holder is not None:
        say(f"CPU {holder} still holds its state (curr_vcpu)")
    if vcpu.pi and vcpu.pi.sn:
        say("SN is set, as a switch away leaves it")
        return "S4" if holder is None else "between"
    say("SN is clear")
    if nv == snapshot.pi_wakeup_vector:
        listed = vcpu.blocking_list
        say("NV is the wakeup vector: it blocked and has not been in the guest since")
        how = "off the lists: woken by a posted interrupt"
        say(how if listed is None else f"still on CPU {listed}'s list: woken otherwise")
        return "S11"
    if holder is not None:
        return "S5"
    say("NV is not the wakeup vector: it did not block; the hooks came after it was switched away, or it never ran")
    return "S4"


def holder_of(snapshot: Snapshot, vcpu: Vcpu) -> int | None:
    """The CPU that still holds the vCPU's state, though it may run something else."""
    holder = snapshot.by_loaded.get(vcpu.name)
    return holder.cpu if holder else None
