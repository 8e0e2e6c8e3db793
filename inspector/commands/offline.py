"""Take a physical CPU offline, or bring it back.

vtdpi sim --scenario idle -c 'block d1v1' -c 'offline 1' -c vcpus
vtdpi sim --scenario idle -c 'offline 1' -c 'offline 1 --back'
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.arguments import number
from inspector.commands.simulation_control import add_later, order
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("cpu", type=number, metavar="CPU", help="which CPU; 0 stays")
    parser.add_argument("--back", action="store_true", help="bring it online again")
    add_later(parser)


def run(inspection: Inspection, options: Namespace) -> Answer:
    words = f"CPU {options.cpu} " + ("comes back" if options.back else "goes offline")
    return order(inspection, options, words, "bring_online" if options.back else "offline", options.cpu)
