"""`stop` and `cont`: a live machine stands still, or runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.arguments import NoArguments
from inspector.base.errors import NotHere
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Text
from inspector.targets.target import Control

if TYPE_CHECKING:
    from inspector.model import documents


def control(inspection: Inspection) -> Control:
    """The target as one that can run. Raises NotHere if it cannot."""
    target: object = inspection.target
    if not isinstance(target, Control):
        raise NotHere(
            f"{inspection.target.description} does not run by itself: only a live machine is stopped and continued"
        )
    return target


@command(
    NoArguments,
    Example("live", "cont\nstop\nirt"),
    while_running=True,
    instead_in_gdb="gdb itself stops the machine: Ctrl-C, or `interrupt`",
)
def stop(inspection: Inspection, arguments: NoArguments) -> Answer[documents.Running]:
    """Stop a machine that runs, so that it can be read again.

    Attaching to a live machine stops it, and so it stays until `cont`, or until vtdpi leaves it as it was found.
    """
    target = control(inspection)
    target.stop()
    return Answer({"running": target.running}, [Text(f"{inspection.target.description} is stopped")])


@command(
    NoArguments,
    Example("live", "irt\ncont\nstop\nirt"),
    while_running=True,
    instead_in_gdb="gdb itself lets the machine run: `continue`",
)
def cont(inspection: Inspection, arguments: NoArguments) -> Answer[documents.Running]:
    """Let the machine run until `stop`; the next command after that looks at it afresh."""
    target = control(inspection)
    target.cont()
    return Answer({"running": target.running}, [Text(f"{inspection.target.description} runs; `stop` it to read it")])
