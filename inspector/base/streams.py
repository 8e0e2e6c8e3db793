"""stdout and stderr as they may be: an encoding that cannot say everything, closed, full, or with nobody who reads."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

from inspector.base.foreign_text import one_line
from inspector.base.wrapping import wrapped


class _Closed(io.TextIOBase):
    """A stdout that was closed before the program began."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def fileno(self) -> int:
        return 1


def prepare() -> None:
    """What an encoding cannot say is printed as an escape; descriptors 0 to 2 are nobody else's, open or not."""
    while (handle := _nothing()) <= 2:
        pass
    os.close(handle)
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def width(out: IO[str]) -> int | None:
    """How wide a terminal is; None if it is none."""
    from shutil import get_terminal_size

    try:
        return get_terminal_size().columns if out.isatty() else None
    except ValueError:
        # Closed.
        return None


def tell(lines: Iterable[str]) -> None:
    """Each on a line of its own on stderr, whatever is in it. If stderr takes nothing, the answer is the same."""
    with suppress(OSError, ValueError):
        for line in lines:
            print(wrapped(f"vtdpi: {one_line(line)}", width(sys.stderr)), file=sys.stderr, flush=True)


def finish(status: int) -> int:
    """Bring to stdout what is still to be printed; `status`, or 3 if stdout does not take it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has seen enough.
        _let_go()
    except OSError as error:
        return unwritten(error)
    return status


def unwritten(error: OSError) -> int:
    """Say that stdout does not take what is printed; 3."""
    _let_go()
    return complain(f"the answer cannot be printed: stdout: {error.strerror}", 3)


def complain(line: str, status: int) -> int:
    """A line on stderr, if there is one; `status`."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        print(wrapped(f"vtdpi: {one_line(line)}", width(sys.stderr)), file=sys.stderr, flush=True)
    return status


def _nothing() -> int:
    """A descriptor of what holds nothing."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        # A container or a chroot without /dev: a folder is neither read from nor written to either.
        return os.open("/", os.O_RDONLY)


def _let_go() -> None:
    """Keep the interpreter from complaining about stdout at exit."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
