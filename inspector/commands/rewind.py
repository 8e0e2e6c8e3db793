"""A simulated machine goes back: before the last command, or to a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.arguments import argument
from inspector.base.errors import VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.simulation import run_on, simulation
from inspector.model.answer import Answer, Text
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents
    from inspector.targets.sim.simulation import Simulation


@frozen
class Commands:
    """How many."""

    count: int = argument("how many commands (default: 1)", 1)


@command(
    Commands,
    Example("sim --scenario idle", "run\nblock d1v0\nundo\nvcpus", "d1v0 is not blocked any more"),
)
def undo(inspection: Inspection, arguments: Commands) -> Answer[documents.Position]:
    """Be as before the last command that moved the simulated machine, or the last few: an order, `step`, `run`, `goto`.

    What happens then, unless it is asked for something else, is what happened before. The last 100 states are kept.
    """
    target = simulation(inspection)
    undone = target.undo(arguments.count)
    lines = [f"undone: {words}" for words in undone]
    document = _position(target)
    document["undone"] = undone
    return Answer(document, [Text("\n".join([*lines, f"at {target.position}"]))])


def _position(target: Simulation) -> documents.Position:
    position: documents.Position = {"step": target.steps}
    if target.history_step is not None:
        position["history_step"] = target.history_step
    return position


@frozen
class Where:
    """Which step."""

    step: int = argument("its number", metavar="STEP")


@command(
    Where,
    Example("sim", "run 1000\ngoto 990\nstep 10", "the last ten of them once more, a line each"),
)
def goto(inspection: Inspection, arguments: Where) -> Answer[documents.Position]:
    """Be at a step of the simulated machine: forward it runs, backward it is as it was then, in this session.

    Steps are counted from the machine's beginning, as `number` in the JSON of `step`. Orders that came after that step
    are not given again when it goes on from there. With --replay it is the history's step. `undo` takes it back.
    """
    from inspector.targets.sim.simulation import Replay

    target = simulation(inspection)
    step = arguments.step
    if isinstance(target, Replay):
        target.go_to_move(step)
        return Answer(_position(target), [Text(f"at {target.position}")])
    if step < target.steps:
        target.go_back(step)
    elif step > target.steps:
        with target.moving_by(f"goto {step}"):
            run_on(target, step - target.steps)
    if target.steps < step:
        why = target.crashed or "nothing more can happen unless it is asked for"
        raise VtdpiError(f"goto {step}: the simulated machine is at step {target.steps}, and {why}")
    return Answer(_position(target), [Text(f"at {target.position}")])
