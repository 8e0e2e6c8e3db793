"""The two versions of the posted-interrupt logic, told apart by what they do differently."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.errors import SimError


@dataclass(frozen=True)
class Version:
    """What a version of Xen does.

    Attributes:
        ndst_at_creation: a new descriptor's NDST names the CPU of its creation; else it is all ones until first used.
        assign_in_order: the first device installs the switch hooks, repairs every NDST, and only then the block hook;
            else all hooks are installed at once and NDST stays.
        deassign_cleans_up: when the last device leaves, blocked vCPUs are taken off their lists, NV is restored and the
            switch-in hook stays; else all hooks are dropped and nothing else is done.
        moves_blocked: vCPUs that are blocked on a CPU that goes offline move to another one's list.
        always_notifies: a software post to a vCPU that runs elsewhere always sends the notification vector; else only
            if it newly set that CPU's VCPU_KICK softirq bit.
        always_syncs: the way to VM entry always moves PIR to IRR; else only if nothing else is pending already.
        unbind_restores: unbinding a guest interrupt turns its remapping entry back to the remapped format.
    """

    name: str
    ndst_at_creation: bool
    assign_in_order: bool
    deassign_cleans_up: bool
    moves_blocked: bool
    always_notifies: bool
    always_syncs: bool
    unbind_restores: bool


SEED = Version("seed", True, False, False, False, False, False, False)
"""The first one: Xen commit 4b759ce163 of March 2016, as released in 4.7.0."""

CURRENT = Version("current", False, True, True, True, True, True, True)
"""As in 4.20."""

VERSIONS = {version.name: version for version in (SEED, CURRENT)}


def version(name: str) -> Version:
    """The version of that name. Raises SimError if there is none."""
    if name not in VERSIONS:
        raise SimError(f"no version {name!r} of the logic; there are {', '.join(VERSIONS)}")
    return VERSIONS[name]
