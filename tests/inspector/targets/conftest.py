"""What a file must never do to its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from inspector.base.errors import VtdpiError
from inspector.targets.target import Target

Answer = TypeVar("Answer")


def use(opener: Callable[[Path], Target], path: Path) -> None:
    """Open a damaged file and read from it: each step ends in an answer or in one line, or the test fails."""
    target = one_line(lambda: opener(path))
    if target is None:
        return
    with target:
        target.cpus()
        for part in (target.memory() or ())[:3]:
            for address, size in ((part.start, 8), (part.end - 8, 8), (part.start, min(part.size, 1 << 16))):
                data = one_line(lambda at=address, n=size: target.read(at, n))
                assert data is None or len(data) == size


def one_line(step: Callable[[], Answer]) -> Answer | None:
    """What a step answers; None if it raises a VtdpiError, whose message must be one line."""
    complaint = ""
    try:
        return step()
    except VtdpiError as error:
        complaint = str(error)
    assert complaint
    assert "\n" not in complaint
    return None


@pytest.fixture(scope="session")
def use_damaged() -> Callable[..., None]:
    return use
