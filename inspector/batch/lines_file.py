"""The rows of a survey in a file, a JSON object each line: written as they come, read again to go on."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from inspector.base import new_file
from inspector.base.errors import TargetError, UsageError
from inspector.batch.survey_row import Row


class Kept(NamedTuple):
    """What such a file holds: its rows, and the numbers of the lines that are none."""

    rows: list[Row]
    damaged: list[int]


def read(path: str) -> Kept:
    """The rows of a file; none if it is not there yet, or is a pipe or a device. A line that was cut short is told.

    Raises:
        TargetError: it cannot be read, or it has lines and no row.
        UsageError: it is a named pipe.
    """
    if _is_named_pipe(path):
        raise UsageError(f"{path} is a named pipe, whose reader would end after the first row; expected a file")
    if _only_takes(path):
        return Kept([], [])
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return Kept([], [])
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}") from None
    kept = Kept([], [])
    for number, line in enumerate(lines, 1):
        try:
            if line:
                kept.rows.append(msgspec.convert(_renamed(json.loads(line.decode())), Row))
        except (ValueError, msgspec.ValidationError, RecursionError):
            kept.damaged.append(number)
    if kept.damaged and not kept.rows:
        raise TargetError(f"{path} holds no rows of a survey: expected a new file, or one that `survey --lines` wrote")
    return kept


OLDER = {
    "vtdpi": "vtdpi_version",
    **{name: f"{one}_count" for name, one in (("cpus", "cpu"), ("vcpus", "vcpu"), ("entries", "entry"))},
    **{name: f"{name}_count" for name in ("blocked", "posted")},
}
"""What rows called their members before version 3 of the documents."""


def _renamed(row: object) -> object:
    return {OLDER.get(name, name): value for name, value in row.items()} if isinstance(row, dict) else row


def append(path: str, rows: Sequence[Row]) -> None:
    """Add rows. What another process left without a line's end does not spoil them. Raises NotWritten."""
    # Not by msgspec: a file's name need not be UTF-8.
    text = "".join(json.dumps(msgspec.to_builtins(row)) + "\n" for row in rows)
    new_file.append(path, text if _ends_well(path) else f"\n{text}")


def _is_named_pipe(path: str) -> bool:
    """Whether rows that are added one after another would each be all that is read from it: nobody else has it open."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode) and not path.startswith(("/dev/", "/proc/"))
    except (OSError, ValueError):
        return False


def _only_takes(path: str) -> bool:
    """Whether it is a pipe or a device: it takes rows, and reading it may never end."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _ends_well(path: str) -> bool:
    if _only_takes(path):
        return True
    try:
        with open(path, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True
