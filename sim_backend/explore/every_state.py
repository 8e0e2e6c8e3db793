"""Every state that an exploration reached, as a machine to look at: once each, as far as looking tells them apart.

The audit and the explorer check each other so: in no state that is reached without a bug may the audit find one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sim_backend.explore.materialise import materialised, values
from sim_backend.explore.search import Search
from sim_backend.explore.tracked import STACK, AnyTracked
from sim_backend.logic.cpu import idle_loop
from sim_backend.logic.program import PROCEDURE
from sim_backend.machine.boot import AnyMachine

SEEN = frozenset(("lapic", "curr", "where"))
"""Parts that are seen: local APICs, whose state a CPU holds, what it runs. Of CPUs, also whether they are idle, and
whether the control domain is at work; nothing of devices, who waits for a CPU, and what is left of bounds."""
SEEN_OF_MACHINE = frozenset(("online", "areas", "owners"))


def every_state(search: Search, machine: AnyTracked) -> Iterator[tuple[int, AnyMachine]]:
    """The number of a state of a search that has run, and a machine in it; the first of those that look alike."""
    rows = search.states.rows[: search.states.count]
    for state in alike(search, machine).tolist():
        yield state, materialised(machine, values(search.fields, rows[state]))


def alike(search: Search, machine: AnyTracked) -> Any:
    """The first state of each kind that looking tells apart, in the order in which they were found."""
    fields, rows = search.fields, search.states.rows[: search.states.count]
    cpus = {cpu.name for cpu in machine.cpus}
    columns = []
    for field, key in enumerate(fields.keys):
        numbers = fields.extract(rows, field).astype(np.intp)
        name, part = (None, None) if isinstance(key, int) else key[:2]
        if isinstance(key, int) or part in SEEN or (name == "machine" and part in SEEN_OF_MACHINE):
            columns.append(numbers)
        elif name in cpus:
            columns.append(np.array([_idle(value) for value in fields.values[field]])[numbers])
        elif name == machine.context.toolstack.name:
            columns.append(np.array([bool(value[STACK]) for value in fields.values[field]])[numbers])
    if not columns:
        return np.zeros(1, np.intp)
    return np.sort(np.unique(np.stack(columns, axis=1), axis=0, return_index=True)[1])


def _idle(doing: Any) -> int:
    stack = doing[STACK]
    return int(bool(stack) and stack[-1][PROCEDURE] == idle_loop.number)
