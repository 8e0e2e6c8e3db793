"""The command `save`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base import new_file
from inspector.base.arguments import FileName, argument
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Text
from inspector.model.snapshot import SCHEMA, dumps
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents


@frozen
class Arguments:
    """What it takes."""

    file: FileName = argument("where to; JSON")


@command(
    Arguments,
    Example("live", "save now.json", "then: vtdpi dump now.json vcpus"),
)
def save(inspection: Inspection, arguments: Arguments) -> Answer[documents.File]:
    """Everything about interrupt posting and remapping to a file, to look at later or elsewhere."""
    new_file.write(arguments.file, dumps(inspection.snapshot) + "\n", keep=inspection.target.files)
    document: documents.File = {
        "file": arguments.file,
        "snapshot_schema": SCHEMA,
        "vcpu_count": len(inspection.snapshot.vcpus),
    }
    vcpus, units = len(inspection.snapshot.vcpus), len(inspection.snapshot.units)
    words = f"{vcpus} vCPUs and {units} VT-d units saved to {arguments.file}"
    return Answer(document, [Text(words)], absent=inspection.snapshot.absences)
