"""Let the simulated machine run, as many atomic actions as you say.

vtdpi sim run 100000               just how far it came
vtdpi sim run 50 --events          a line for each action, as `step` gives it
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.base.errors import VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands.arguments import number
from inspector.commands.simulation_control import happened, simulation
from inspector.model.answer import Answer, Text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("count", nargs="?", type=number, default=1000, metavar="N", help="how many (default: 1000)")
    parser.add_argument("--events", action="store_true", help="tell each action")


def run(inspection: Inspection, options: Namespace) -> Answer:
    target = simulation(inspection)
    if options.events:
        return happened(target, target.step(options.count))
    done = target.drive("run", options.count)
    if target.crashed:
        raise VtdpiError(f"the simulated machine cannot go on: {target.crashed}")
    line = f"{done} steps" if done == options.count else f"{done} steps, then nothing more could happen"
    return Answer({"steps": done, "events": []}, [Text(line)])
