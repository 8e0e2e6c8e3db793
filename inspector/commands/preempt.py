"""End the time slice of a running vCPU; another one runs if one waits. With --tasklet its CPU runs a tasklet in idle.

vtdpi sim --scenario idle preempt d1v0 --tasklet
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.simulation_control import add_later, order
from inspector.commands.vcpu_words import vcpu_argument
from inspector.model.answer import Answer


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("vcpu", type=vcpu_argument, metavar="dXvY", help="which vCPU")
    parser.add_argument("--tasklet", action="store_true", help="by a tasklet: a lazy switch to idle")
    add_later(parser)


def run(inspection: Inspection, options: Namespace) -> Answer:
    words = f"{options.vcpu} is preempted" + (" by a tasklet" if options.tasklet else "")
    return order(inspection, options, words, "preempt", options.vcpu, options.tasklet)
