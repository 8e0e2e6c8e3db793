"""Let the machine run until `stop`; the next command after that looks at it afresh.

vtdpi live -c irt -c cont -c stop -c irt
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.answer import Answer, Text
from inspector.commands.arguments import control
from inspector.look import Look

WHILE_RUNNING = True


def arguments(parser: ArgumentParser) -> None:
    """No options."""


def run(look: Look, options: Namespace) -> Answer:
    target = control(look)
    target.cont()
    return Answer({"running": target.running}, [Text(f"{look.target.description} runs; `stop` it to read it")])
