"""Do one atomic action of the simulated machine, or several, and say what each did.

vtdpi sim step 20                  a line each: who, which function of Xen, what, and the field before and after
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.arguments import number
from inspector.commands.simulation_control import happened, simulation
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("count", nargs="?", type=number, default=1, metavar="N", help="how many (default: 1)")


def run(inspection: Inspection, options: Namespace) -> Answer:
    target = simulation(inspection)
    return happened(target, target.step(options.count))
