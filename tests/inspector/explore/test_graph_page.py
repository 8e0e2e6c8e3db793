"""The state graph around a history as a page."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html import unescape

import pytest

from inspector.base.errors import UsageError
from inspector.explore.graph_page import HISTORY, WRONG, page
from sim_backend.explore import explore
from sim_backend.explore.graph import around
from sim_backend.scenario.scenario import load

pytest.importorskip("bokeh")


@pytest.fixture(scope="module")
def explored():
    return explore(load("h-a"))


def verdict(explored, name):
    return next(each for each in explored.result.verdicts if each.name == name)


def columns(source):
    """The data of the nodes."""
    (document,) = json.loads(
        re.search(r'<script type="application/json"[^>]*>(.*?)</script>', source, re.S)[1].strip()
    ).values()
    found = []

    def look(value):
        if isinstance(value, dict):
            entries = value.get("entries", [])
            if value.get("type") == "map" and any(pair[0] == "told" for pair in entries):
                found.append(dict(entries))
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(document)
    (data,) = found
    return {name: [unescape(each) if isinstance(each, str) else each for each in of] for name, of in data.items()}


@pytest.mark.thorough
def test_every_state_tells_what_it_is(explored):
    source = page(explored, verdict(explored, "no lost wakeup"))
    data = columns(source)
    graph = around(explored.search, "no lost wakeup")
    assert len(data["told"]) == len(data["color"]) == len(graph.nodes)
    first = data["told"][0]
    assert "<td>d1v0</td><td>S1</td><td>CPU 0</td><td>none</td><td>0</td><td>0</td><td>0xf2</td>" in first
    assert "<li>nothing found</li>" in first
    assert "<li>preempt d1v0</li>" in first
    assert data["color"][0] == HISTORY
    assert any("0x30" in told for told in data["told"])
    assert WRONG not in data["color"] or any("<li>bug " in told for told in data["told"])
    assert "situation S8" in source
    assert "Coverage: all states were visited" in source


@pytest.mark.thorough
def test_text_of_others_is_no_markup(explored):
    scenario = replace(explored.scenario, name="<script>x</script>\x1b[31m")
    source = page(replace(explored, scenario=scenario), verdict(explored, "no lost wakeup"))
    assert "<script>x" not in source
    assert "\x1b" not in source


def test_no_history_no_graph(explored):
    with pytest.raises(UsageError, match="no history leads to 'Xen does not crash'"):
        page(explored, verdict(explored, "Xen does not crash"))


@pytest.mark.thorough
def test_on_the_command_line(run, tmp_path):
    answer = run("explore", "h-a", "--graph", tmp_path / "graph.html")
    assert answer.status == 1
    assert "State after 0 actions" in (tmp_path / "graph.html").read_text()


def test_without_bokeh_nothing_is_explored(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    answer = run("explore", "two-by-two", "--graph", tmp_path / "graph.html")
    assert (answer.status, answer.out) == (2, "")
    assert "--graph needs Bokeh: `pip install 'vtdpi[graph]'`" in answer.err
