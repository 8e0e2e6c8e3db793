"""The labs of this user on disk: one directory a lab, under `$XDG_STATE_HOME/vtdpi/lab`.

A lab that is starting holds a lock on its directory, so that nobody takes it for a dead one.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from inspector.base import new_file, xdg
from inspector.lab import LabError

RECORD = "lab.json"
LONGEST_SOCKET_PATH = 107
"""Bytes of a unix socket's path (sockaddr_un.sun_path, less its NUL)."""
SOCKETS = "sockets"
"""A link to the directory that holds the sockets, if their paths would be too long in the lab's own."""
SHORT = "vtdpi-"
"""How the name of such a directory begins."""


def state_home() -> Path:
    """Where labs are kept."""
    return xdg.state() / "lab"


@contextmanager
def claimed(name: str, fallback: str) -> Iterator[Path]:
    """A new, empty directory for a lab that is starting.

    Args:
        name: the lab's name; if empty, `fallback`, numbered if it is taken.

    Raises:
        LabError: the name is taken, or cannot be a file name.
    """
    if name and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", name):
        raise LabError(f"a lab's name is made of letters, digits and _ . - (at most 63), not {name!r}")
    with _exclusive():
        directory = state_home() / (name or fallback)
        number = 1
        while directory.exists():
            if name:
                raise LabError(f"a lab {name} is there already; see `vtdpi lab list`, or name this one with --name")
            number += 1
            directory = state_home() / f"{fallback}-{number}"
        # Its sockets drive a machine: nobody else may come to them.
        directory.mkdir(mode=0o700)
        lock = os.open(directory, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield directory
    finally:
        os.close(lock)


def socket_directory(directory: Path, longest_name: str) -> Path:
    """Where the lab's sockets fit: its own directory, or a new one with a shorter path if that is too long.

    Raises:
        LabError: no directory's path is short enough.
    """
    if _fits(directory / longest_name):
        return directory
    for base in (xdg.runtime(), tempfile.gettempdir(), "/tmp"):
        if base and os.path.isdir(base) and _fits(Path(base, SHORT + "12345678", longest_name)):
            short = Path(tempfile.mkdtemp(prefix=SHORT, dir=base))
            (directory / SOCKETS).symlink_to(short)
            return short
    raise LabError(f"{directory} is too long for a unix socket's path; set XDG_RUNTIME_DIR to a shorter one")


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH


def save(directory: Path, record: dict[str, Any]) -> None:
    """Write a lab's record, whole or not at all."""
    new_file.write(directory / RECORD, json.dumps(record, indent=2) + "\n")


def load(directory: Path) -> dict[str, Any] | None:
    """A lab's record; None if there is none or it is not one."""
    try:
        record = json.loads((directory / RECORD).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def directories() -> list[Path]:
    """Every lab's directory, by name."""
    with suppress(OSError):
        return sorted(path for path in state_home().iterdir() if path.is_dir() and not path.is_symlink())
    return []


def is_starting(directory: Path) -> bool:
    """Whether a program is at work on starting this lab."""
    with _exclusive():
        try:
            lock = os.open(directory, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
    return False


@contextmanager
def _exclusive() -> Iterator[None]:
    home = state_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home, os.O_RDONLY)
    except OSError as error:
        raise LabError(f"{home} cannot be written ({error.strerror}); set XDG_STATE_HOME") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def remove(directory: Path) -> None:
    """Everything that a lab has on disk."""
    elsewhere = directory / SOCKETS
    if elsewhere.is_symlink() and (short := elsewhere.readlink()).name.startswith(SHORT):
        shutil.rmtree(short, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)
