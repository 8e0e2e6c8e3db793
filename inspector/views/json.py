"""An answer as one JSON document."""

from __future__ import annotations

import json
from typing import TextIO

from inspector.answer import Answer


def show(answer: Answer, out: TextIO) -> None:
    """Print the document, and nothing else."""
    json.dump(answer.document, out, indent=1)
    out.write("\n")
