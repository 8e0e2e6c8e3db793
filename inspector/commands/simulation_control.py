"""Driving a simulated machine: what its commands have in common."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inspector.base.errors import NotHere, VtdpiError
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


def add_later(parser: ArgumentParser) -> None:
    """Declare `--later`."""
    parser.add_argument("--later", action="store_true", help="only ask for it; `step` or `run` make it happen")


def order(inspection: Inspection, options: Namespace, words: str, name: str, *arguments: object) -> Answer:
    """Ask the machine for something, and show it happen, unless the machine is busy anyway.

    Args:
        words: what is asked for, as a sentence.
        name: the machine's method, with its `arguments`.
    """
    target = simulation(inspection)
    target.drive(name, *arguments)
    if options.later or target.busy:
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
