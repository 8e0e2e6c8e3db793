"""What other packages add, by their entry points."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from glob import iglob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import EntryPoint


def of_group(group: str) -> Sequence[EntryPoint]:
    """The entry points of a group, such as `vtdpi.commands`."""
    if not any(_names(folder or os.curdir, group) for folder in sys.path):
        return ()
    # Loading it takes a tenth of the time of a whole audit, and few have such a package.
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def _names(place: str, group: str) -> bool:
    """Whether a package that is installed there may name the group; of an archive only the library knows."""
    if os.path.isfile(place):
        return True
    for path in iglob(os.path.join(place, "*-info", "entry_points.txt")):
        with suppress(OSError), open(path, "rb") as file:
            if f"[{group}]".encode() in file.read():
                return True
    return False
