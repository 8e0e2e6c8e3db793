"""JSON Schemas of what `--json` prints: made of the types in `documents`, shipped as files.

`python -m inspector.commands.schemas` writes the files anew after a type has changed; a test says when that is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from inspector.base.errors import UsageError
from inspector.model.hex_members import is_hexadecimal
from inspector.model.member_units import unit_of
from inspector.model.schema_name import VERSION, schema_name

DIALECT = "https://json-schema.org/draft/2020-12/schema"
HEX = "^-?0x[0-9a-f]+$"
FOLDER = "json_schemas"
PROBLEMS = "What else could not be read, or went wrong, a line each; then the exit status is 3."


def made(name: str, version: int = VERSION) -> dict[str, Any]:
    """The schema of a command's document, made of its type."""
    import msgspec

    from inspector.model.documents import DOCUMENTS, About, Absent

    (document, absent, about), definitions = msgspec.json.schema_components(
        (DOCUMENTS[name], Absent, About), ref_template="#/$defs/{name}"
    )
    kind = document["$ref"].rpartition("/")[2]
    body = dict(definitions.pop(kind))
    for named_kind, definition in ((kind, body), *definitions.items()):
        _add_units(named_kind, definition.get("properties", {}))
    named = schema_name(name, version)
    body["properties"] = {
        "schema": {"const": named},
        "vtdpi": about,
        **body["properties"],
        "problems": {"type": "array", "items": {"type": "string"}, "description": PROBLEMS},
        "absent": {"type": "array", "items": absent, "description": "What is not in the answer, and why."},
    }
    body["required"] = ["schema", "vtdpi", *body.get("required", [])]
    whole = {"$schema": DIALECT, "$id": f"urn:{named.replace('/', ':')}", **body, "$defs": definitions}
    return cast("dict[str, Any]", _with_hex(whole))


def _add_units(kind: str, members: Mapping[str, Any]) -> None:
    """Have the numbers among a type's members tell in what they are counted."""
    for member, schema in members.items():
        if (unit := unit_of(kind, member)) and _is_number(schema):
            schema["x-unit"] = unit


def _is_number(schema: Mapping[str, Any]) -> bool:
    """Whether it is a number, or a list of them."""
    if "anyOf" in schema:
        return any(map(_is_number, schema["anyOf"]))
    return schema.get("type") in ("integer", "number") or (
        schema.get("type") == "array" and _is_number(schema["items"])
    )


def _with_hex(schema: Any, name: str = "") -> Any:
    """The schema with the members that are hexadecimal strings as such."""
    if isinstance(schema, list):
        return [_with_hex(part, name) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if is_hexadecimal(name) and schema.get("type") == "integer":
        return {**{key: part for key, part in schema.items() if key != "type"}, "type": "string", "pattern": HEX}
    made = {}
    for key, part in schema.items():
        if key in ("properties", "$defs"):
            made[key] = {each: _with_hex(of, each if key == "properties" else "") for each, of in part.items()}
        else:
            made[key] = _with_hex(part, name)
    return made


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
