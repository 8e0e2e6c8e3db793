"""A saved snapshot as a target."""

from __future__ import annotations

import os

from inspector.base.errors import TargetError
from inspector.targets.recorded.recorded import RecordedTarget


def saved(path: str | os.PathLike[str]) -> RecordedTarget:
    """The snapshot that `vtdpi ... save` wrote. Raises TargetError if it is none, is damaged, or of a newer schema."""
    from inspector.model.snapshot import loads

    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"{name} cannot be read: {error}") from None
    return RecordedTarget(f"snapshot {name}", loads(text, name), name)
