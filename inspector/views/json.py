"""An answer as one JSON document."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import IO, Any

from inspector import __version__
from inspector.base.errors import VtdpiError
from inspector.model.absence import lines
from inspector.model.answer import AnyAnswer
from inspector.model.hex_members import hexed
from inspector.model.json_codec import plain
from inspector.model.schema_name import schema_name

ERROR = schema_name("error")


def show(answer: AnyAnswer, out: IO[str], target: str | None = None) -> None:
    """Print the document, and nothing else: on one line, but for a person at a terminal indented.

    Args:
        answer: whose document it is.
        out: where it goes.
        target: what was asked, in words; None for what needs no target.
    """
    document = answer.document
    if problems := [line for line in answer.problems if line not in lines(answer.absent)]:
        document = {**document, "problems": problems}
    if answer.absent:
        document = {**document, "absent": [plain(absence) for absence in answer.absent]}
    write(document, out, target)


def show_error(error: VtdpiError, out: IO[str], target: str | None = None) -> None:
    """Print why there is no answer, as a document."""
    told: dict[str, Any] = {"message": str(error), "exit_status": error.exit_status}
    for name in ("expected", "found", "advice", "address"):
        if (value := getattr(error, name)) is not None:
            told[name] = list(value) if isinstance(value, tuple | list) else value if name == "address" else str(value)
    write({"schema": ERROR, "error": told}, out, target)


def write(document: Mapping[str, Any], out: IO[str], target: str | None) -> None:
    """Print a document, with who answered, when, and of what."""
    schema, *members = document.items()
    about = {
        "version": __version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "target": target,
    }
    whole = hexed(dict([schema, ("vtdpi", about), *members]))
    out.write(text(whole, 1 if out.isatty() else None) + "\n")


def text(document: Mapping[str, Any], indent: int | None = None) -> str:
    """A document as text that every reader of JSON takes alike: half a character, as in a file's name, is an escape."""
    said = json.dumps(document, indent=indent)
    return json.dumps(_whole(document), indent=indent) if "\\ud" in said else said


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        # Two halves that stand together are one.
        joined = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return joined.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_whole(key): _whole(each) for key, each in value.items()}
    return list(map(_whole, value)) if isinstance(value, list | tuple) else value
