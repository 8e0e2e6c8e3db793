"""A saved snapshot as a target."""

from __future__ import annotations

import os

from inspector.base import reading
from inspector.targets.recorded.recorded import RecordedTarget

LARGEST = 512 * reading.MIB
"""Bytes of a file: more is no snapshot."""


def saved(path: str | os.PathLike[str]) -> RecordedTarget:
    """The snapshot that `vtdpi ... save` wrote. Raises TargetError if it is none, is damaged, or of a newer schema."""
    from inspector.model.snapshot import loads

    name = os.fspath(path)
    text = reading.text(path, LARGEST)
    return RecordedTarget(f"snapshot {name}", loads(text, name), name)
