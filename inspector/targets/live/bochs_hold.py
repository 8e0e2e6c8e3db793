"""Bochs not scheduled for the time of a look (SIGSTOP), and on again whatever becomes of who held it.

Who holds it has a shared lock (flock) on the file of its debugger's answers, which the kernel takes back from the dead.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from inspector.base.errors import TargetError

STOPPED = "T"
"""A process's state in /proc after SIGSTOP."""
STILL = frozenset((STOPPED, "t", "D", "Z", "X"))
"""States of a thread that executes nothing of its own: stopped, traced, in the kernel and not to be woken, ended."""
PATIENCE = 10


class BochsHold:
    """The right to hold a Bochs.

    Args:
        pid: its process.
        answers: a file that everybody who looks at this Bochs opens.

    Raises:
        TargetError: the file cannot be opened.
    """

    def __init__(self, pid: int, answers: Path) -> None:
        self._pid = pid
        try:
            self._lock = answers.open("rb")
        except OSError as error:
            raise TargetError(f"{answers} of Bochs (process {pid}) cannot be opened: {error.strerror}") from error

    def take(self) -> None:
        """Hold it. Raises TargetError if it is gone, or does not stand still."""
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        try:
            self._signal(signal.SIGSTOP)
            self._wait_until_still()
        except TargetError:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            raise

    def _wait_until_still(self) -> None:
        """A signal is sent, not obeyed, when kill(2) returns: a thread on another processor still runs."""
        deadline = time.monotonic() + PATIENCE
        while any(state not in STILL for state in self._states()):
            if time.monotonic() > deadline:
                raise TargetError(f"Bochs (process {self._pid}) does not stand still within {PATIENCE} s of SIGSTOP")
            time.sleep(0)

    def _states(self) -> Iterator[str]:
        for task in Path(f"/proc/{self._pid}/task").glob("*/stat"):
            with suppress(OSError):
                yield _state(task)

    def release(self) -> None:
        """Let it go on, unless somebody else holds it, who will. Raises TargetError if it is gone."""
        try:
            if self._is_only_one():
                self._signal(signal.SIGCONT)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def recover(self) -> None:
        """Let a Bochs go on that was held by somebody who was killed. Raises TargetError if it is gone."""
        with suppress(OSError):
            if _state(Path(f"/proc/{self._pid}/stat")) == STOPPED:
                self.release()

    def close(self) -> None:
        """Give the right back."""
        self._lock.close()

    def _is_only_one(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _signal(self, number: int) -> None:
        try:
            os.kill(self._pid, number)
        except OSError as error:
            raise TargetError(f"Bochs (process {self._pid}) is gone: {error.strerror}") from error


def _state(stat: Path) -> str:
    return stat.read_text().rpartition(")")[2].split()[0]
