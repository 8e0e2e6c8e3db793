"""Everything about interrupt posting and remapping to a file, to look at later or elsewhere.

vtdpi live save now.json
vtdpi dump now.json vcpus
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.base import new_file
from inspector.capture.inspection import Inspection
from inspector.model.answer import Answer, Text
from inspector.model.snapshot import SCHEMA, dumps


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="where to; JSON")


def run(inspection: Inspection, options: Namespace) -> Answer:
    new_file.write(options.file, dumps(inspection.snapshot) + "\n", keep=inspection.target.files)
    document = {"file": options.file, "schema": SCHEMA, "vcpus": len(inspection.snapshot.vcpus)}
    vcpus, units = len(inspection.snapshot.vcpus), len(inspection.snapshot.units)
    words = f"{vcpus} vCPUs and {units} VT-d units saved to {options.file}"
    return Answer(document, [Text(words)], inspection.snapshot.problems)
