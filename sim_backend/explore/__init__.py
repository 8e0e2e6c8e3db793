"""Every interleaving of a bounded scenario: an explicit-state model checker for the simulated machine.

    >>> from sim_backend.scenario.scenario import load
    >>> found = explore(load("h-a"))
    >>> [verdict.name for verdict in found.result.broken]
    ['no lost wakeup', 'no stranded interrupt']

`model` says what a model is, `search` visits its states, `paths` tells how one gets there, `liveness` what can go on
for ever; they know nothing of Xen. `transitions` is what makes it fast. `tracked` is the machine on a state of the
search, `bounded` the model that it becomes, `properties` what is asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from itertools import chain
from pathlib import Path

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.model import SOMETIMES
from sim_backend.explore.properties import PROPERTIES, Asked
from sim_backend.explore.result import BROKEN, HOLDS, NOT_SEEN, SEEN, UNKNOWN, Result, Verdict
from sim_backend.explore.search import Limits, Progress, Search
from sim_backend.explore.tracked import AnyTracked
from sim_backend.logic.kvm.versions import KvmVersion
from sim_backend.logic.versions import CURRENT, AnyVersion
from sim_backend.logic.workload import Workload
from sim_backend.machine.environment import Move
from sim_backend.machine.history import History, started
from sim_backend.scenario.scenario import Scenario
from structs.frozen import frozen

__all__ = ["Exploration", "Limits", "explore"]

SITUATIONS = tuple(f"S{number}" for number in range(1, 12))
HOOKS = {
    "vmx_vcpu_block": "the block hook runs",
    "vmx_pi_switch_from": "the switch-out hook runs",
    "vmx_pi_switch_to": "the switch-in hook runs",
    "vmx_pi_do_resume": "the resume hook runs",
    "pi_wakeup_interrupt": "a wakeup interrupt is handled",
    "pi_notification_interrupt": "a notification is taken in Xen",
    "posted-interrupt processing": "a notification is taken in the guest",
}
KVM_SITUATIONS = tuple(f"K{number}" for number in range(1, 10))
KVM_HOOKS = {
    "vmx_vcpu_pi_load": "a vCPU is loaded",
    "vmx_vcpu_pi_put": "a vCPU is put",
    "pi_enable_wakeup_handler": "a vCPU goes onto a wakeup list",
    "pi_wakeup_handler": "a wakeup interrupt is handled",
    "sysvec_kvm_posted_intr_ipi": "a notification is taken in Linux",
    "posted-interrupt processing": "a notification is taken in the guest",
}
SPURIOUS = "a spurious notification occurs"


def looked_for(version: AnyVersion) -> tuple[str, ...]:
    """What has to happen some time, so that what always holds does not hold of nothing."""
    kvm = isinstance(version, KvmVersion)
    hooks, situations = (KVM_HOOKS, KVM_SITUATIONS) if kvm else (HOOKS, SITUATIONS)
    return (*hooks.values(), *(f"situation {name}" for name in situations), SPURIOUS)


LOOKED_FOR = looked_for(CURRENT)


def properties_of(version: AnyVersion) -> tuple[Asked, ...]:
    """What is asked of a version's hypervisor."""
    if not isinstance(version, KvmVersion):
        return PROPERTIES
    from sim_backend.explore.kvm_properties import KVM_PROPERTIES

    return KVM_PROPERTIES


WORST = (BROKEN, UNKNOWN, HOLDS, SEEN, NOT_SEEN)


@frozen
class Exploration:
    """What was explored, and what was found. `search` has all states, and `machine` can be put into each."""

    scenario: Scenario
    version: AnyVersion
    store_buffers: bool
    result: Result
    search: Search = field(repr=False)
    machine: AnyTracked = field(repr=False)

    def history(self, verdict: Verdict) -> History:
        """The history that a verdict names, to be written to a file, replayed and shown."""
        return History(self.scenario, self.version, verdict.moves or (), verdict.name, verdict.why, self.store_buffers)


def explore(
    scenario: Scenario,
    version: AnyVersion = CURRENT,
    limits: Limits | None = None,
    properties: Sequence[Asked] | None = None,
    symmetry: bool = True,
    tell: Callable[[Progress], None] | None = None,
    threads: int = 1,
    store_buffers: bool = False,
    folder: Path | None = None,
) -> Exploration:
    """Run all orders of a scenario's events within its bounds, by default with all properties of the hypervisor's.

    Raises:
        SimError: there is no such machine.
        OSError: no file can be made in the folder.
    """
    scenario = replace(scenario, workload=Workload())
    properties = properties_of(version) if properties is None else properties
    bounded = BoundedMachine(started(scenario, version, store_buffers), scenario.bounds)
    search = Search(bounded.model(properties), limits or Limits(), symmetry, tell, threads, folder=folder)
    result = search.run()
    verdicts = {verdict.name: verdict for verdict in sorted(result.verdicts, key=_rank, reverse=True)}
    named = [verdicts[each.name] for each in properties if each.name in verdicts]
    named = [replace(verdict, moves=_joined(verdict)) for verdict in named]
    result = replace(result, verdicts=(*named, *_sometimes(bounded, result)))
    return Exploration(scenario, version, store_buffers, result, search, bounded.machine)


def _rank(verdict: Verdict) -> tuple[int, int]:
    return WORST.index(verdict.verdict), len(_joined(verdict) or ())


def _joined(verdict: Verdict) -> tuple[Move, ...] | None:
    return None if verdict.moves is None else tuple(chained(verdict.moves))


def chained(notes: Iterable[Iterable[Move]]) -> Iterator[Move]:
    """What actions noted, as moves one after another."""
    return chain.from_iterable(notes)


def _sometimes(bounded: BoundedMachine, result: Result) -> list[Verdict]:
    seen = seen_sometimes(bounded)
    missing = NOT_SEEN if result.exhausted else UNKNOWN
    return [Verdict(name, SOMETIMES, SEEN if name in seen else missing) for name in looked_for(bounded.machine.version)]


def seen_sometimes(bounded: BoundedMachine) -> set[str]:
    """Which of what is looked for was seen when the actions of a machine were run."""
    hooks = KVM_HOOKS if isinstance(bounded.machine.version, KvmVersion) else HOOKS
    seen = {words for name, words in hooks.items() if name in bounded.ran}
    seen |= {f"situation {name}" for name in bounded.situations}
    return (seen | {SPURIOUS}) if bounded.spurious else seen
