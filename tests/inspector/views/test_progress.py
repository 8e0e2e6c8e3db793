"""The bar for long work."""

from __future__ import annotations

import pytest

from inspector.views import progress
from inspector.views.progress import WorkBar


def test_it_appears_after_a_second_and_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    bar = WorkBar()
    bar("reading log", 1 << 20, 100 << 20)
    bar.clear()
    assert capsys.readouterr().err == ""
    now += 1.5
    bar("reading log", 50 << 20, 100 << 20)
    told = capsys.readouterr().err
    assert "reading log" in told
    assert "50 % of 100 MiB" in told
    bar("reading log", 51 << 20, 100 << 20)
    assert capsys.readouterr().err == ""
    now += 1
    bar("reading log", 300 << 20, 100 << 20)
    assert "300 MiB" in capsys.readouterr().err
    bar.clear()
    assert capsys.readouterr().err == "\r\x1b[K"
