"""Wake a vCPU: unpause it if it is paused, else send it an event.

vtdpi sim --scenario idle -c 'block d1v0' -c 'wake d1v0'
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.simulation_control import add_later, order
from inspector.commands.vcpu_words import vcpu_argument
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("vcpu", type=vcpu_argument, metavar="dXvY", help="which vCPU")
    add_later(parser)


def run(inspection: Inspection, options: Namespace) -> Answer:
    return order(inspection, options, f"{options.vcpu} is woken", "wake", options.vcpu)
