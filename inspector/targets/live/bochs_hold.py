"""Bochs not scheduled for the time of a look (SIGSTOP), and on again whatever becomes of who held it.

Who holds it has a shared lock (flock) on the file of its debugger's answers, which the kernel takes back from the dead.
"""

from __future__ import annotations

import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path

from inspector.base.errors import TargetError

STOPPED = "T"
"""A process's state in /proc after SIGSTOP."""


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
        """Hold it. Raises TargetError if it is gone."""
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        try:
            self._signal(signal.SIGSTOP)
        except TargetError:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            raise

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
            state = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == STOPPED:
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
