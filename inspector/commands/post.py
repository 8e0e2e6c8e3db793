"""A device sends an interrupt, or software posts one to a vCPU.

vtdpi sim --scenario idle post 00:03.0 1      the device's vector number 1, as a remappable MSI
vtdpi sim --scenario idle post d1v0 0x41      an emulated device's interrupt, posted by software
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.arguments import number
from inspector.commands.simulation_control import add_later, order
from inspector.commands.vcpu_words import VCPU
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", metavar="DEVICE|dXvY", help="who sends, or which vCPU gets it")
    parser.add_argument("vector", nargs="?", type=number, metavar="N", help="which of the device's; the vCPU's vector")
    add_later(parser)


def run(inspection: Inspection, options: Namespace) -> Answer:
    if VCPU.fullmatch(options.target):
        if options.vector is None:
            raise UsageError(f"post {options.target}: which vector? Such as 0x41")
        words = f"software posts vector {options.vector:#x} to {options.target}"
        return order(inspection, options, words, "deliver", options.target, options.vector)
    number_ = options.vector or 0
    return order(
        inspection, options, f"{options.target} sends its interrupt {number_}", "post", options.target, number_
    )
