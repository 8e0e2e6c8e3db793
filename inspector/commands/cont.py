"""Let the machine run until `stop`; the next command after that looks at it afresh.

vtdpi live -c irt -c cont -c stop -c irt
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
    target.cont()
    return Answer({"running": target.running}, [Text(f"{inspection.target.description} runs; `stop` it to read it")])
