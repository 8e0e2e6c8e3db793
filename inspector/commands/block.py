"""The guest halts a vCPU: it blocks until something wakes it.

vtdpi sim --scenario idle -c 'block d1v0' -c vcpus
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.answer import Answer
from inspector.commands.vcpu_words import vcpu_argument
from inspector.driving import add_later, order
from inspector.look import Look


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("vcpu", type=vcpu_argument, metavar="dXvY", help="which vCPU")
    add_later(parser)


def run(look: Look, options: Namespace) -> Answer:
    return order(look, options, f"the guest halts {options.vcpu}", "block", options.vcpu)
