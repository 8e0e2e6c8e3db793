"""Texts of others, read as far as there can be one and no further: a device or a pipe may have no end."""

from __future__ import annotations

import os
from typing import BinaryIO

from inspector.base.errors import TargetError

MIB = 1 << 20


def text(path: str | os.PathLike[str], most: int, errors: str = "strict", kind: str = "") -> str:
    """The text in a file, in UTF-8.

    Args:
        most: bytes that it may have.
        errors: what becomes of others' bytes, as in `bytes.decode`.
        kind: what it is meant to be, before its name in messages.

    Raises:
        TargetError: it cannot be read, has more bytes than that, or is no text.
    """
    name = f"{kind} {os.fspath(path)}".lstrip()
    try:
        with open(path, "rb") as file:
            return decoded(file, name, most, errors)
    except OSError as error:
        raise TargetError(f"{name} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TargetError(f"{name} cannot be read: {error}") from None


def decoded(file: BinaryIO, name: str, most: int, errors: str = "strict") -> str:
    """As `text`, of a file that is open."""
    raw = file.read(most + 1)
    if len(raw) > most:
        raise TargetError(f"{name} has more than {most // MIB} MiB: expected a text")
    try:
        return raw.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise TargetError(f"{name} cannot be read: it is no text: {error}") from None
