"""JSON Schemas of what `--json` prints: made of the types in `documents`, shipped as files.

`python -m inspector.commands.schemas` writes the files anew after a type has changed; a test says when that is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from inspector.base.errors import UsageError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = "json_schemas"


def made(name: str, version: int = 1) -> dict[str, Any]:
    """The schema of a command's document, made of its type."""
    import msgspec

    from inspector.model.documents import DOCUMENTS, Absent

    (document, absent), definitions = msgspec.json.schema_components(
        (DOCUMENTS[name], Absent), ref_template="#/$defs/{name}"
    )
    body = dict(definitions.pop(document["$ref"].rpartition("/")[2]))
    named = f"vtdpi/{name}/{version}"
    body["properties"] = {
        "schema": {"const": named},
        **body["properties"],
        "absent": {"type": "array", "items": absent, "description": "What is not in the answer, and why."},
    }
    body["required"] = ["schema", *body.get("required", [])]
    return {"$schema": DIALECT, "$id": f"urn:{named.replace('/', ':')}", **body, "$defs": definitions}


def text(schema: Mapping[str, Any]) -> str:
    """A schema as its file has it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def names() -> Iterator[str]:
    """The commands that have a schema."""
    folder = files("inspector.commands").joinpath(FOLDER)
    yield from sorted(each.name.removesuffix(".json") for each in folder.iterdir() if each.name.endswith(".json"))


def shipped(name: str) -> str:
    """The schema of a command's documents, from its file. Raises UsageError if there is none of that name."""
    known = tuple(names())
    if name not in known:
        raise UsageError(f"no schema {name!r}; there are {', '.join(known)}", expected=known, found=name)
    return files("inspector.commands").joinpath(FOLDER, f"{name}.json").read_text("utf-8")


def write(folder: Path) -> None:
    """Write all schemas into a folder."""
    from inspector.base import new_file
    from inspector.model.documents import DOCUMENTS

    folder.mkdir(exist_ok=True)
    for name in DOCUMENTS:
        new_file.write(folder / f"{name}.json", text(made(name)))


if __name__ == "__main__":
    write(Path(__file__).with_name(FOLDER))
