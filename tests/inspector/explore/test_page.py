"""A history as a page, as a browser sees it."""

from __future__ import annotations

from pathlib import Path

HISTORY = Path(__file__).parents[1] / "explore" / "stranded.json"


def test_a_browser_has_nothing_to_say_of_it(browse, run, tmp_path):
    run("explore", "--read", HISTORY, "--html", tmp_path / "page.html")
    dom, console = browse(tmp_path / "page.html")
    assert not console
    assert "stranded-vector" in dom
    assert "<details>" in dom
    assert "<script" not in dom
