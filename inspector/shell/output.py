"""Where a command's answer goes: the terminal, a pager, a shell command, a file."""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from inspector.base import new_file
from inspector.shell.line import Line


class _Terminal(io.StringIO):
    """Text for a terminal, which somebody else will show there."""

    def isatty(self) -> bool:
        return True


@contextmanager
def to(line: Line, pager: str = "", keep: Sequence[str] = ()) -> Iterator[TextIO]:
    """Write an answer here; it is delivered at the end, if nothing goes wrong before.

    Args:
        line: tells the pipe or file, if any.
        pager: a shell command that shows what is longer than the screen; none if empty.
        keep: files that must not be written over.

    Raises:
        UsageError: the file cannot be written.
    """
    if line.pipe:
        collected: io.StringIO = io.StringIO()
        yield collected
        _pipe(line.pipe, collected.getvalue())
    elif line.file:
        collected = io.StringIO()
        yield collected
        store = new_file.append if line.append else new_file.write
        store(line.file, collected.getvalue(), keep=keep)
    elif pager and sys.stdout.isatty() and shutil.which(shlex.split(pager)[0]):
        collected = _Terminal()
        yield collected
        text = collected.getvalue()
        if text.count("\n") < shutil.get_terminal_size().lines:
            sys.stdout.write(text)
        else:
            _pipe(pager, text)
    else:
        yield sys.stdout
    sys.stdout.flush()


def _pipe(command: str, text: str) -> None:
    """Run a shell command on the text. Ctrl-C is the command's: it reaches it from the terminal."""
    sys.stdout.flush()
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, text=True)
    assert process.stdin
    try:
        # It may have seen enough.
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(text)
    except KeyboardInterrupt:
        with suppress(OSError):
            process.stdin.close()
    while process.returncode is None:
        with suppress(KeyboardInterrupt):
            process.wait()
