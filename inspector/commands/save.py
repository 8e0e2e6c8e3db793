"""Everything about interrupt posting and remapping to a file, to look at later or elsewhere.

vtdpi live save now.json
vtdpi dump now.json vcpus
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.answer import Answer, Text
from inspector.errors import UsageError
from inspector.look import Look
from inspector.snapshot import SCHEMA, dumps


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="where to; JSON")


def run(look: Look, options: Namespace) -> Answer:
    text = dumps(look.snapshot) + "\n"
    try:
        with open(options.file, "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise UsageError(f"{options.file} cannot be written: {error.strerror}") from None
    document = {"file": options.file, "schema": SCHEMA, "vcpus": len(look.snapshot.vcpus)}
    words = f"{len(look.snapshot.vcpus)} vCPUs and {len(look.snapshot.units)} VT-d units saved to {options.file}"
    return Answer(document, [Text(words)], look.snapshot.problems)
