"""Stop a machine that runs, so that it can be read again.

Attaching to a live machine stops it, and so it stays until `cont`, or until vtdpi leaves it as it was found.

vtdpi live -c cont -c stop -c irt
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
    target.stop()
    return Answer({"running": target.running}, [Text(f"{look.target.description} is stopped")])
