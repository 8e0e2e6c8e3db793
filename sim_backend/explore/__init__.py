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
from sim_backend.explore.tracked import TrackedMachine
from sim_backend.logic.versions import CURRENT, AnyVersion
from sim_backend.logic.workload import Workload
from sim_backend.machine.environment import Move
from sim_backend.machine.history import History, started
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
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
SPURIOUS = "a spurious notification occurs"
LOOKED_FOR = (*HOOKS.values(), *(f"situation {name}" for name in SITUATIONS), SPURIOUS)
"""What has to happen some time, so that what always holds does not hold of nothing."""
WORST = (BROKEN, UNKNOWN, HOLDS, SEEN, NOT_SEEN)


@frozen
class Exploration:
    """What was explored, and what was found. `search` has all states, and `machine` can be put into each."""

    scenario: Scenario
    version: AnyVersion
    store_buffers: bool
    result: Result
    search: Search = field(repr=False)
    machine: TrackedMachine = field(repr=False)

    def history(self, verdict: Verdict) -> History:
        """The history that a verdict names, to be written to a file, replayed and shown."""
        return History(self.scenario, self.version, verdict.moves or (), verdict.name, verdict.why, self.store_buffers)


def explore(
    scenario: Scenario,
    version: AnyVersion = CURRENT,
    limits: Limits | None = None,
    properties: Sequence[Asked] = PROPERTIES,
    symmetry: bool = True,
    tell: Callable[[Progress], None] | None = None,
    threads: int = 1,
    store_buffers: bool = False,
    folder: Path | None = None,
) -> Exploration:
    """Run all orders of a scenario's events within its bounds.

    Raises:
        SimError: there is no such machine.
        OSError: no file can be made in the folder.
    """
    scenario = replace(scenario, workload=Workload())
    machine = started(scenario, version, store_buffers)
    if not isinstance(machine, Machine):
        raise SimError(f"{version.name} is not explored")
    bounded = BoundedMachine(machine, scenario.bounds)
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
    return [Verdict(name, SOMETIMES, SEEN if name in seen else missing) for name in LOOKED_FOR]


def seen_sometimes(bounded: BoundedMachine) -> set[str]:
    """Which of LOOKED_FOR was seen when the actions of a machine were run."""
    seen = {words for name, words in HOOKS.items() if name in bounded.ran}
    seen |= {f"situation {name}" for name in bounded.situations}
    return (seen | {SPURIOUS}) if bounded.spurious else seen
