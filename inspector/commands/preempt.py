"""End the time slice of a running vCPU; another one runs if one waits. With --tasklet its CPU runs a tasklet in idle.

vtdpi sim --scenario idle preempt d1v0 --tasklet
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.answer import Answer
from inspector.commands.vcpu_words import vcpu_argument
from inspector.driving import add_later, order
from inspector.look import Look


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("vcpu", type=vcpu_argument, metavar="dXvY", help="which vCPU")
    parser.add_argument("--tasklet", action="store_true", help="by a tasklet: a lazy switch to idle")
    add_later(parser)


def run(look: Look, options: Namespace) -> Answer:
    words = f"{options.vcpu} is preempted" + (" by a tasklet" if options.tasklet else "")
    return order(look, options, words, "preempt", options.vcpu, options.tasklet)
