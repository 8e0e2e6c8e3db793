"""How far a long piece of work is: told to whoever shows it. Nobody does unless asked to."""

from __future__ import annotations

import os
from collections.abc import Callable

Listener = Callable[[str, int, int | None], None]
"""What is done, how much of it, and of how much; None if that is not known."""


def _nobody(what: str, done: int, total: int | None) -> None:
    """Shows nothing."""


_listener: Listener = _nobody


def listen(listener: Listener | None) -> None:
    """Have `listener` told from now on; None for nobody."""
    global _listener
    _listener = listener or _nobody


def tell(what: str, done: int, total: int | None = None) -> None:
    """Say how far it is."""
    _listener(what, done, total)


def reading(path: str) -> Callable[[int], None]:
    """What to call with the number of bytes of a file that have been read."""
    try:
        total: int | None = os.stat(path).st_size
    except OSError:
        total = None
    return lambda done: tell(f"reading {os.path.basename(path)}", done, total)
