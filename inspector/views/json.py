"""An answer as one JSON document."""

from __future__ import annotations

import json
from typing import IO

from inspector.model.answer import Answer


def show(answer: Answer, out: IO[str]) -> None:
    """Print the document, and nothing else: on one line, but for a person at a terminal indented."""
    out.write(json.dumps(answer.document, indent=1 if out.isatty() else None) + "\n")
