"""A saved snapshot as a target."""

from __future__ import annotations

import os

from inspector.errors import TargetError
from inspector.targets.told import Told


def saved(path: str | os.PathLike[str]) -> Told:
    """The snapshot that `vtdpi ... save` wrote. Raises TargetError if it is none, is damaged, or of a newer schema."""
    from inspector.snapshot import loads

    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"{name} cannot be read: {error}") from None
    return Told(f"snapshot {name}", loads(text, name))
