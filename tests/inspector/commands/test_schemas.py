"""The JSON Schemas: one for each command, made of the types, shipped, and strict enough to find what is wrong."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from inspector.base.errors import UsageError
from inspector.commands import BUILT_IN, load, schemas
from inspector.model.documents import DOCUMENTS

OTHERS = (
    "campaign",
    "coverage",
    "error",
    "explore",
    "explore-list",
    "help",
    "history",
    "lab",
    "lab-list",
    "lines",
    "open",
    "scenarios",
    "show",
    "survey",
    "swarm",
)


@pytest.mark.parametrize("name", [*BUILT_IN, *OTHERS])
def test_each_command_has_one_and_the_file_is_made_of_the_type(name):
    """If this fails: python -m inspector.commands.schemas."""
    assert schemas.shipped(name) == schemas.text(schemas.made(name))
    schema = json.loads(schemas.shipped(name))
    jsonschema_rs.validator_for(schema)
    assert "schema" in schema["required"]
    if name in BUILT_IN:
        assert schema["properties"]["schema"] == {"const": load(name).schema}


def test_there_is_none_for_what_is_no_command():
    assert set(schemas.names()) == set(DOCUMENTS) == {*BUILT_IN, *OTHERS}
    with pytest.raises(UsageError, match="no schema 'x'; there are assign, audit, ") as caught:
        schemas.shipped("x")
    assert caught.value.found == "x"


def test_it_is_printed(run):
    assert json.loads(run("schema", "irt").out) == schemas.made("irt")
    assert run("schema").out.split() == list(schemas.names())
    assert run("schema", "x").status == 2


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda d: d["units"][0].pop("size"), ["units", 0]),
        (lambda d: d["units"][0]["entries"][0].update(vector="30"), ["units", 0, "entries", 0, "vector"]),
        (lambda d: d["units"][0]["entries"][0].update(format="other"), ["units", 0, "entries", 0, "format"]),
        (lambda d: d.update(schema="vtdpi/irt/1"), ["schema"]),
    ],
)
def test_a_wrong_document_is_found(run, change, path):
    document = json.loads(run("sim", "--scenario", "idle", "irt", "--json").out)
    validator = jsonschema_rs.validator_for(json.loads(schemas.shipped("irt")))
    assert validator.is_valid(document)
    change(document)
    (error,) = validator.iter_errors(document)
    assert list(error.instance_path) == path


def test_the_fields_of_an_entry_are_those_of_its_records():
    from structs.irte import POSTED, REMAPPED

    entry = schemas.made("irt")["$defs"]["Entry"]
    assert set(entry["properties"]) >= {field.name for record in (POSTED, REMAPPED) for field in record.fields}
    assert set(entry["required"]) == {"index", "format"}
