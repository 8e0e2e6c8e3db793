"""Pause a vCPU, as the toolstack does; `wake` unpauses it.

vtdpi sim --scenario idle -c 'sleep d1v0' -c vcpus
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
    return order(inspection, options, f"{options.vcpu} is paused", "sleep", options.vcpu)
