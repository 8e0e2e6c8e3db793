"""The command `snapshot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.arguments import argument
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Text
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents


@frozen
class Arguments:
    """What it takes."""

    name: str | None = argument("what to call it (default: list them)", None, metavar="NAME")


@command(
    Arguments,
    Example("sim --scenario idle", "run\nsnapshot before\nblock d1v0\ndiff before", "what an order changed"),
    Example("live", "snapshot a\ncont\nstop\nsnapshot b\ndiff a b"),
)
def snapshot(inspection: Inspection, arguments: Arguments) -> Answer[documents.Snapshots]:
    """Keep what the target holds now under a name, for `diff NAME` in this session; `save` writes it to a file.

    A name that is given again stands for the later one.
    """
    kept = inspection.kept
    if arguments.name is not None:
        kept[arguments.name] = inspection.snapshot
        said = f"kept as {arguments.name}: `diff {arguments.name}` tells what has changed since"
    else:
        said = "\n".join(kept) or "no snapshots; `snapshot NAME` keeps one"
    return Answer({"snapshots": list(kept)}, [Text(said)])
