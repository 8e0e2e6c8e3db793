"""Do one atomic action of the simulated machine, or several, and say what each did.

vtdpi sim step 20                  a line each: who, which function of Xen, what, and the field before and after
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.answer import Answer
from inspector.commands.arguments import number
from inspector.driving import happened, simulation
from inspector.look import Look


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("count", nargs="?", type=number, default=1, metavar="N", help="how many (default: 1)")


def run(look: Look, options: Namespace) -> Answer:
    target = simulation(look)
    return happened(target, target.step(options.count))
