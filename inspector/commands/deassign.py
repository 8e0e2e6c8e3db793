"""Take a device away from its domain.

vtdpi sim --scenario idle -c 'deassign 00:03.0' -c irt
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.answer import Answer
from inspector.commands.arguments import bdf_argument
from inspector.driving import add_later, order
from inspector.look import Look


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("device", type=bdf_argument, metavar="DEVICE", help="bus:device.function")
    add_later(parser)


def run(look: Look, options: Namespace) -> Answer:
    return order(look, options, "the device leaves its domain", "deassign", options.device)
