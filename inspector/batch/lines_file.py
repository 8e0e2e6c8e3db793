"""The rows of a survey in a file, a JSON object each line: written as they come, read again to go on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from inspector.base import new_file
from inspector.base.errors import UsageError
from inspector.batch.survey_row import Row


class Kept(NamedTuple):
    """What such a file holds: its rows, and the numbers of the lines that are none."""

    rows: list[Row]
    damaged: list[int]


def read(path: str) -> Kept:
    """The rows of a file; none if it is not there yet. A line that was cut short is told.

    Raises:
        UsageError: it cannot be read, or it has lines and no row.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return Kept([], [])
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    decoder, kept = msgspec.json.Decoder(Row), Kept([], [])
    for number, line in enumerate(lines, 1):
        try:
            if line:
                kept.rows.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            kept.damaged.append(number)
    if kept.damaged and not kept.rows:
        raise UsageError(f"{path} holds no rows of a survey: expected a new file, or one that `survey --lines` wrote")
    return kept


def append(path: str, rows: Sequence[Row]) -> None:
    """Add rows. What another process left without a line's end does not spoil them. Raises NotWritten."""
    text = b"".join(msgspec.json.encode(row) + b"\n" for row in rows).decode()
    new_file.append(path, text if _ends_well(path) else f"\n{text}")


def _ends_well(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True
