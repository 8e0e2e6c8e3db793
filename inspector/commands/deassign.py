"""Take a device away from its domain.

vtdpi sim --scenario idle -c 'deassign 00:03.0' -c irt
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.arguments import bdf_argument
from inspector.commands.simulation_control import add_later, order
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("device", type=bdf_argument, metavar="DEVICE", help="bus:device.function")
    add_later(parser)


def run(inspection: Inspection, options: Namespace) -> Answer:
    return order(inspection, options, "the device leaves its domain", "deassign", options.device)
