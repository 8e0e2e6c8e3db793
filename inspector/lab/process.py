"""A lab's QEMU as a process that outlives the program that started it, and is never mistaken for another."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path


def is_ours(pid: int, mark: Path) -> bool:
    """Whether process `pid` runs and has `mark`, a path that only the lab's QEMU was given, in its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(os.fsencode(mark) in word for word in words)


def end(pid: int, mark: Path, grace: float) -> bool:
    """Wait `grace` seconds for the process to end by itself, then kill it. True if it is gone.

    A process that is not the lab's QEMU is never touched.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        if is_ours(pid, mark) and not _ended(handle, grace):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            if not _ended(handle, 5.0):
                return False
    finally:
        os.close(handle)
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True


def _ended(handle: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
