"""Give a device to a domain, whose vCPUs get its interrupts, posted.

vtdpi sim --scenario idle -c 'deassign 00:03.0' -c 'assign 00:03.0 1' -c irt
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.arguments import bdf_argument, number
from inspector.commands.simulation_control import add_later, order
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("device", type=bdf_argument, metavar="DEVICE", help="bus:device.function")
    parser.add_argument("domain", type=number, metavar="DOMAIN", help="its number")
    add_later(parser)


def run(inspection: Inspection, options: Namespace) -> Answer:
    return order(
        inspection, options, f"domain {options.domain} gets the device", "assign", options.device, options.domain
    )
