"""A history as a page, as a browser sees it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.explore.page import history as page
from inspector.explore.steps import read

HISTORY = Path(__file__).parents[1] / "explore" / "stranded.json"


@pytest.mark.thorough
def test_a_browser_has_nothing_to_say_of_it(browse, run, tmp_path):
    run("explore", "--read", HISTORY, "--html", tmp_path / "page.html")
    dom, console = browse(tmp_path / "page.html")
    assert not console
    assert "stranded-vector" in dom
    assert "<details>" in dom
    assert "<script" not in dom


HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x1b[31m"


class TestPage:
    def test_it_holds_all_steps_and_loads_nothing(self, reading):
        source = page(reading)
        for step in reading.steps:
            assert step.function in source
        assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!data:)\w+:", source)
        assert "<script" not in source

    def test_what_a_file_says_is_only_text(self, stranded):
        bad = replace(stranded, property=HOSTILE, why=HOSTILE, scenario=replace(stranded.scenario, title=HOSTILE))
        source = page(read(bad))
        assert "<script" not in source
        assert "<img" not in source
        assert "\x1b" not in source
