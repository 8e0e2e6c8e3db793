"""Move a vCPU to another physical CPU.

vtdpi sim --scenario idle migrate d1v0 1
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.answer import Answer
from inspector.commands.arguments import number
from inspector.commands.vcpu_words import vcpu_argument
from inspector.driving import add_later, order
from inspector.look import Look


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("vcpu", type=vcpu_argument, metavar="dXvY", help="which vCPU")
    parser.add_argument("cpu", type=number, metavar="CPU", help="where to")
    add_later(parser)


def run(look: Look, options: Namespace) -> Answer:
    words = f"{options.vcpu} moves to CPU {options.cpu}"
    return order(look, options, words, "migrate", options.vcpu, options.cpu)
