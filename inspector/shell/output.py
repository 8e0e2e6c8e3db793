"""Where a command's answer goes: the terminal, a pager, a shell command, a file."""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from inspector.base import new_file
from inspector.shell.line import Line


class _Terminal(io.StringIO):
    """Text for a terminal, which somebody else will show there."""

    def isatty(self) -> bool:
        return True


@contextmanager
def to(line: Line, pager: str = "", keep: Sequence[str] = (), at_once: bool = False) -> Iterator[IO[str]]:
    """Write an answer here; it is delivered at the end, if nothing goes wrong before.

    Args:
        line: tells the pipe or file, if any.
        pager: a shell command that shows what is longer than the screen; none if empty.
        keep: files that must not be written over.
        at_once: deliver to a terminal or a pipe what is written when it is written.

    Raises:
        UsageError: the file cannot be written.
    """
    if line.pipe and at_once:
        with _piped(line.pipe) as process_input:
            yield process_input
    elif line.pipe:
        collected: io.StringIO = io.StringIO()
        yield collected
        _pipe(line.pipe, collected.getvalue())
    elif line.file:
        collected = io.StringIO()
        yield collected
        store = new_file.append if line.append else new_file.write
        store(line.file, collected.getvalue(), keep=keep)
    elif pager and not at_once and sys.stdout.isatty() and shutil.which(shlex.split(pager)[0]):
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
    with _piped(command) as process_input, suppress(KeyboardInterrupt):
        process_input.write(text)


@contextmanager
def _piped(command: str) -> Iterator[IO[str]]:
    """Write to a shell command, until it has seen enough, and wait for its end."""
    sys.stdout.flush()
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, text=True)
    assert process.stdin
    try:
        with suppress(BrokenPipeError):
            yield process.stdin
    finally:
        with suppress(OSError):
            process.stdin.close()
        while process.returncode is None:
            with suppress(KeyboardInterrupt):
                process.wait()
