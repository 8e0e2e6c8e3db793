"""A simulated machine is driven: `step`, `run`, `core`, and what the orders to it have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.base import new_file
from inspector.base.arguments import FilePath, argument, flag
from inspector.base.errors import NotHere, VtdpiError
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Text

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.targets.sim.simulation import Simulation

AT_ONCE = 10_000
"""Steps that an order may take on a machine that does nothing of itself."""


def simulation(inspection: Inspection) -> Simulation:
    """The target as a machine that can be driven. Raises NotHere if it is a real one, or a dump."""
    from inspector.targets.sim.simulation import Simulation

    if not isinstance(inspection.target, Simulation):
        raise NotHere(
            f"{inspection.target.description} is not simulated: only `vtdpi sim` has a machine that can be driven"
        )
    return inspection.target


def order(inspection: Inspection, words: str, later: bool, name: str, *arguments: object) -> Answer:
    """Ask the machine for something, and show it happen, unless the machine is busy anyway.

    Args:
        words: what is asked for, as a sentence.
        later: only ask for it.
        name: the machine's method, with its `arguments`.
    """
    target = simulation(inspection)
    target.drive(name, *arguments)
    if later or target.busy:
        return Answer({"events": []}, [Text(f"{words}: `step` or `run` make it happen")])
    return happened(target, target.step(AT_ONCE), words)


def happened(target: Simulation, events: Sequence[Mapping[str, Any]], words: str = "") -> Answer:
    """What happened, a line each."""
    lines = [event["text"] for event in events]
    if not events:
        lines = ["nothing can happen unless it is asked for: post, block, wake, sleep, preempt, ..."]
    title = [f"{words}:"] if words else []
    document = {"events": [{k: v for k, v in event.items() if k != "text"} for event in events]}
    crashed = target.crashed
    if crashed:
        raise VtdpiError(f"the simulated machine cannot go on: {crashed}")
    return Answer(document, [Text("\n".join([*title, *lines]))])


@dataclass(frozen=True)
class Steps:
    """How many steps."""

    count: int = argument("how many (default: 1)", 1)


@command(
    Steps,
    Example("sim", "step 20", "a line each: who, which function of Xen, what, and the field before and after"),
    simulated=True,
    drives=True,
)
def step(inspection: Inspection, arguments: Steps) -> Answer:
    """Do one atomic action of the simulated machine, or several, and say what each did."""
    target = simulation(inspection)
    return happened(target, target.step(arguments.count))


@dataclass(frozen=True)
class Distance:
    """How far to run."""

    count: int = argument("how many (default: 1000)", 1000)
    events: bool = flag("tell each action")


@command(
    Distance,
    Example("sim", "run 100000", "just how far it came"),
    Example("sim", "run 50 --events", "a line for each action, as `step` gives it"),
    simulated=True,
    drives=True,
)
def run(inspection: Inspection, arguments: Distance) -> Answer:
    """Let the simulated machine run, as many atomic actions as you say."""
    target = simulation(inspection)
    if arguments.events:
        return happened(target, target.step(arguments.count))
    done = target.drive("run", arguments.count)
    if target.crashed:
        raise VtdpiError(f"the simulated machine cannot go on: {target.crashed}")
    line = f"{done} steps" if done == arguments.count else f"{done} steps, then nothing more could happen"
    return Answer({"steps": done, "events": []}, [Text(line)])


@dataclass(frozen=True)
class Core:
    """Where a core goes."""

    file: FilePath = argument("where to write it")


@command(Core, Example("sim", "core FILE", "then: vtdpi dump FILE vcpus"))
def core(inspection: Inspection, arguments: Core) -> Answer:
    """Write the simulated machine's memory as an ELF core, for `vtdpi dump` and for plain gdb with xen-syms."""
    write = getattr(inspection.target, "write_core", None)
    if write is None:
        raise NotHere(
            f"{inspection.target.description} is not simulated: dump its memory with QEMU's dump-guest-memory"
        )
    with new_file.replacing(arguments.file, keep=inspection.target.files) as file:
        write(file)
    return Answer({"file": str(arguments.file)}, [Text(f"wrote {arguments.file}")])
