"""A place where a simulated machine is to stop, in a user's words."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.condition import HOW, Condition
from inspector.commands.json_path import PathError
from inspector.commands.simulation import EXAMPLE
from inspector.targets.sim.breaks import Break, functions

if TYPE_CHECKING:
    from inspector.targets.sim.simulation import Simulation

FORM = f"expected a function of Xen, or COMMAND PATH SIGN VALUE such as: {EXAMPLE}; {HOW}"


def stop_at(inspection: Inspection, target: Simulation, words: Sequence[str]) -> Break:
    """The place that the words name: a function that the simulated logic has, or a condition as `expect` has it.

    A condition may be one word, quoted; it was looked at. Raises UsageError if they name none.
    """
    said = shlex.split(words[0]) if len(words) == 1 else list(words)
    if len(said) == 1:
        return Break(_function(said[0]))
    condition = Condition.of(said, FORM)
    if not condition.request.command.chooses:
        raise UsageError(f"{said[0]} is no question but does something; {FORM}")
    made = Break(" ".join(said), _holds(inspection, target, condition))
    made.begin()
    return made


def _function(name: str) -> str:
    known = functions()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{advice}The simulated Xen has no function {name!r}; {FORM}", found=name)
    return name


def _holds(inspection: Inspection, target: Simulation, condition: Condition) -> Callable[[Break], bool]:
    look = inspection

    def holds(asked: Break) -> bool:
        nonlocal look
        look = look.again()
        steps = target.steps
        asked.missing = ""
        try:
            _, found = condition.look(look)
        except PathError as error:
            # It may come: an entry, a finding.
            asked.missing = str(error)
            return False
        if target.steps != steps:
            raise UsageError(f"`{' '.join(condition.words)}` moves the machine: it cannot be asked at each step")
        return condition.holds(found)

    return holds
