"""An answer as one JSON document."""

from __future__ import annotations

import json
from typing import IO

from inspector.model.answer import AnyAnswer
from inspector.model.json_codec import plain


def show(answer: AnyAnswer, out: IO[str]) -> None:
    """Print the document, and nothing else: on one line, but for a person at a terminal indented."""
    document = answer.document
    if answer.absent:
        document = {**document, "absent": [plain(absence) for absence in answer.absent]}
    out.write(json.dumps(document, indent=1 if out.isatty() else None) + "\n")
