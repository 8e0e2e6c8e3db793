"""Work for workers in tests: they import it by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from inspector.base.errors import TargetError
from inspector.batch.workers import Workers


def double(number: int) -> int:
    """Twice as much; 13 cannot be done, and 17 is a fault of this function."""
    if number == 13:
        raise TargetError("13 is no number to double")
    if number == 17:
        raise ValueError("a fault")
    return 2 * number


def dies_once(path: str) -> str:
    """Its process is killed the first time that it comes to the file named `bad`."""
    if path.endswith("bad"):
        mark = Path(f"{path}.was-here")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return path.upper()


def dies(number: int) -> int:
    """Its process is killed whenever it comes to 3."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def slowly(folder: str) -> int:
    """Says which process it is, and waits until it is told to go on."""
    place = Path(folder)
    (place / f"at-{os.getpid()}").touch()
    while not (place / "go").exists():
        time.sleep(0.01)
    return os.getpid()


def large(path: str) -> bytes:
    """More than a pipe holds."""
    return path.encode() * (1 << 20)


def waits(folder: str) -> None:
    """A process whose only worker has nothing to do any more."""
    for _ in Workers(marks, 1).results([folder]):
        time.sleep(60)


def marks(folder: str) -> int:
    """Says which process it is."""
    (Path(folder) / f"at-{os.getpid()}").touch()
    return os.getpid()
