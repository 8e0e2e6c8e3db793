"""`vtdpi schema`."""

from __future__ import annotations

import json

import jsonschema_rs


def test_every_schema_that_is_listed_is_one(run):
    names = run("schema").out.split()
    assert {"irt", "audit", "route"} <= set(names)
    for name in ("irt", "audit"):
        schema = json.loads(run("schema", name).out)
        jsonschema_rs.meta.validate(schema)
        assert not jsonschema_rs.is_valid(schema, {"schema": "vtdpi/nothing/1"})


def test_no_such_schema_is_one_line(run):
    ran = run("schema", "nope")
    assert ran.status == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert "nope" in ran.err
