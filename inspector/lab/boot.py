"""Starting QEMU, and seeing on Xen's console that Xen is up."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from inspector.base.errors import TargetError
from inspector.lab import LabError, Say
from inspector.lab.console import last_lines
from inspector.lab.process import is_given, let_go, refuse_another
from inspector.targets.live.qmp import Qmp

DOM0_READY = "vtdpi lab: dom0 is ready"
"""What the dom0's init prints when its devices are in use."""
LINUX_READY = "vtdpi lab: linux is ready"
"""What a Linux that is the host itself prints, after what it says of its interrupts."""
UP_LINUX = re.compile(re.escape(LINUX_READY).encode())
LINUX_PANIC = re.compile(rb"Kernel panic - not syncing: ([^\r\n]*)")
UP_WITH_DOM0 = re.compile(re.escape(DOM0_READY).encode())
UP_ALONE = re.compile(
    rb"Could not (construct|set up|create) (domain 0|dom0|d0)\b.*?Manual reset required", re.DOTALL | re.IGNORECASE
)
PANIC = re.compile(rb"Panic on CPU \d+:\r?\n\(XEN\) ([^\r\n]*).*?(Manual reset required|Reboot in)", re.DOTALL)

EXEC_LASTS = 0.05
"""Seconds, at most, in which a process becomes another program."""
SIGN_OF_LIFE = 5.0
"""Seconds between two lines that say what is awaited."""


def spawn(words: Sequence[str], console: Path) -> int:
    """QEMU in its console's directory and in a session of its own, where a Ctrl-C does not reach it; its pid.

    Raises:
        LabError: the program cannot be run, or runs another that is no QEMU.
    """
    try:
        with _output(console.parent).open("wb") as output:
            qemu = subprocess.Popen(
                words,
                cwd=console.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(f"{words[0]} cannot be run: {error.strerror}") from error
    return let_go(qemu, console)


def wait_for_monitor(pid: int, control: Path, console: Path, deadline: float) -> None:
    """Return when QEMU listens on its sockets.

    Raises:
        LabError: QEMU ended or became another program, or does not answer by the deadline.
    """
    while True:
        try:
            with Qmp(control, timeout=1.0) as qmp:
                qmp.execute("query-status")
            return
        except TargetError as error:
            _still_there(pid, console)
            if time.monotonic() > deadline:
                raise LabError(f"QEMU does not answer: {error}") from error
            time.sleep(0.02)


def wait_until_up(pid: int, console: Path, dom0: bool, deadline: float, say: Say) -> None:
    """Return when the console's file shows that Xen has set up interrupt remapping, and dom0 its devices.

    Without a dom0 that is when Xen has given up and halted in a panic for want of one.

    Raises:
        LabError: QEMU ended, Xen panicked, or the deadline passed.
    """
    _wait(pid, console, UP_WITH_DOM0 if dom0 else UP_ALONE, PANIC, "Xen", deadline, say)


def wait_until_linux_is_up(pid: int, console: Path, deadline: float, say: Say) -> None:
    """Return when the console's file shows that a Linux, which is the host itself, has its devices in use.

    Raises:
        LabError: QEMU ended, Linux panicked, or the deadline passed.
    """
    _wait(pid, console, UP_LINUX, LINUX_PANIC, "Linux", deadline, say)


def _wait(
    pid: int, console: Path, up: re.Pattern[bytes], panicked: re.Pattern[bytes], what: str, deadline: float, say: Say
) -> None:
    began = said = time.monotonic()
    text = b""
    with console.open("rb") as growing:
        while True:
            text += growing.read()
            if up.search(text):
                return
            if panic := panicked.search(text):
                raise LabError(f"{what} panicked: {panic[1].decode(errors='replace')}")
            _still_there(pid, console)
            now = time.monotonic()
            if now > deadline:
                raise LabError(f"{what} is not up after {now - began:.0f} s; its last lines: {last_lines(console)}")
            if now - said > SIGN_OF_LIFE:
                said = now
                say(f"still starting, {now - began:.0f} s: {last_lines(console, 1)}")
            time.sleep(0.02)


def _still_there(pid: int, console: Path) -> None:
    if is_given(pid, console):
        return
    # Meanwhile the kernel shows no command line; a script that starts QEMU becomes it so.
    time.sleep(EXEC_LASTS)
    if not is_given(pid, console):
        refuse_another(pid)
        raise LabError(
            f"QEMU ended; it said: {last_lines(_output(console.parent), 2)}; "
            f"the console's last lines: {last_lines(console, 2)}"
        )


def _output(directory: Path) -> Path:
    return directory / "qemu.log"
