"""Telling how far long work is."""

from __future__ import annotations

from pathlib import Path

from inspector.base import progress


def test_who_listens_is_told_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(100))
    told: list[tuple[str, int, int | None]] = []
    tell = progress.reading(str(path))
    tell(1)
    progress.listen(lambda *what: told.append(what))
    try:
        tell(50)
        progress.reading("/nowhere/x")(7)
    finally:
        progress.listen(None)
    tell(2)
    assert told == [("reading log", 50, 100), ("reading x", 7, None)]
