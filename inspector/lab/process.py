"""A lab's QEMU as a process that outlives the program that started it, and is never mistaken for another.

It is known by a path that no other program was given: that path is in its command line.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from inspector.lab import LabError

STARTS_WITHIN = 10.0
"""Seconds after which a program that was started has its command line, on a slow and busy machine too."""


def is_given(pid: int, path: Path) -> bool:
    """Whether process `pid` runs and has the path in its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    mark = b"=" + os.fsencode(path).replace(b",", b",,")
    return any(word.endswith(mark) for word in words)


def let_go(program: subprocess.Popen[bytes], path: Path) -> int:
    """The pid of a program that was just started, once it is known by the path, or has ended; it may outlive this one.

    Raises:
        LabError: it runs without the path in its command line, so nobody would find it again. It is killed.
    """
    # For a moment after its start the kernel shows no command line.
    deadline = time.monotonic() + STARTS_WITHIN
    while not is_given(program.pid, path) and program.poll() is None:
        if time.monotonic() > deadline:
            refuse_another(program.pid)
        time.sleep(0.001)
    # Popen would complain about one that runs on.
    program.returncode = 0
    return program.pid


def refuse_another(pid: int) -> None:
    """Kill a child that runs, but without the path that it was given: nobody would find it again. None does nothing.

    Raises:
        LabError: it ran.
    """
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
    if ended:
        return
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise LabError("what was started runs something else: its process has not the words that it was given")


def given(path: Path) -> list[int]:
    """The processes that have the path in their command line."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and is_given(int(name), path)]


def end(pid: int, path: Path, grace: float = 0.0) -> bool:
    """Give the process `grace` seconds to end by itself, then kill it. True if it is gone.

    A process that has not the path in its command line is never touched.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        if is_given(pid, path) and not _ended(handle, grace):
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
