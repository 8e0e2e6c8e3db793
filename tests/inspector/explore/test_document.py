"""A history as one JSON document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from inspector.explore.document import SCHEMA, document
from inspector.model.hex_members import numbers

from ..conftest import check_schema


class TestJson:
    def test_it_is_all_there(self, history, reading, told):
        printed = json.loads(told(reading, json=True))
        check_schema(printed)
        out = numbers({name: member for name, member in printed.items() if name != "vtdpi"})
        assert out == json.loads(json.dumps({"schema": SCHEMA, **document(reading)}))
        assert out["kind"] == "vtdpi reading"
        assert len(out["steps"]) == len(history.moves)
        assert out["start"].keys() == reading.start.keys()

    @pytest.mark.thorough
    def test_every_key_is_documented(self, strandeds):
        from inspector.explore import document as module
        from inspector.explore import steps

        made = document(strandeds)
        words = set(re.findall(r"\w+", module.__doc__))
        assert made.keys() <= words
        assert {*made["steps"][0], *made["findings"][0], *made["fired"][0]} <= words
        source = Path(steps.__file__).read_text("utf-8")
        table = source[source.index('"""A vCPU\'s fields:') : source.index("Change = ")]
        named = re.findall(r"\w+", " ".join(line[:20] for line in table.splitlines() if re.match(r"    \w", line)))
        assert list(made["start"]["d1v0"]["fields"]) == [module.NAMES.get(name, name) for name in named]

    def test_numbers_are_integers(self, reading, told):
        def no_floats(text):
            raise AssertionError(text)

        json.loads(told(reading, json=True), parse_float=no_floats)
