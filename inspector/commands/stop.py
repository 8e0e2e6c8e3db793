"""Stop a machine that runs, so that it can be read again.

Attaching to a live machine stops it, and so it stays until `cont`, or until vtdpi leaves it as it was found.

vtdpi live -c cont -c stop -c irt
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.capture.inspection import Inspection
from inspector.commands.arguments import control
from inspector.model.answer import Answer, Text

WHILE_RUNNING = True


def arguments(parser: ArgumentParser) -> None:
    """No options."""


def run(inspection: Inspection, options: Namespace) -> Answer:
    target = control(inspection)
    target.stop()
    return Answer({"running": target.running}, [Text(f"{inspection.target.description} is stopped")])
