"""Move a vCPU to another physical CPU.

vtdpi sim --scenario idle migrate d1v0 1
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.arguments import number
from inspector.commands.simulation_control import add_later, order
from inspector.commands.vcpu_words import vcpu_argument
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("vcpu", type=vcpu_argument, metavar="dXvY", help="which vCPU")
    parser.add_argument("cpu", type=number, metavar="CPU", help="where to")
    add_later(parser)


def run(inspection: Inspection, options: Namespace) -> Answer:
    words = f"{options.vcpu} moves to CPU {options.cpu}"
    return order(inspection, options, words, "migrate", options.vcpu, options.cpu)
