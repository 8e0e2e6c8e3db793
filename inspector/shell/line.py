"""A line as a person or a script writes it: a command's words, and where its answer goes.

The terminal, a pager, a shell command or a file: whole, or not at all.

>>> parse("irt --posted | grep 00:03.0")
Line(words=('irt', '--posted'), pipe='grep 00:03.0', file=None, append=False)
>>> parse("pi 0x40 --json > 'a file'  # for the report").file
'a file'
"""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from inspector.base import new_file
from inspector.base.errors import UsageError
from structs.frozen import frozen

_PIECE = re.compile(
    r"""\\. | '[^']*' | "(?:\\.|[^"\\])*" | (?P<comment>(?:^|(?<=\s))\#.*) | (?P<redirect>\||>>?) | .""",
    re.VERBOSE | re.DOTALL,
)
_COMPARES = re.compile(r"\s*expect\s.*\s(?P<quote>['\"]?)\.\S*(?P=quote)\s+>", re.DOTALL)


@frozen
class Line:
    """`words` of the command, none if the line is empty; its output goes to the shell command `pipe`, or to `file`."""

    words: tuple[str, ...]
    pipe: str | None = None
    file: str | None = None
    append: bool = False


def parse(text: str) -> Line:
    """The line, quoted as in a shell; `#` at the start of a word begins a comment.

    Raises:
        UsageError: a quote is not closed, or `|`, `>`, `>>` are not followed by what they need.
    """
    ours, redirect, rest = split(text)
    words = tuple(_words(ours))
    if redirect and not words:
        raise UsageError(f"there is no command before {redirect!r}")
    if redirect == "|":
        if not rest.strip():
            raise UsageError("expected a shell command after '|', such as `| grep posted`")
        return Line(words, pipe=rest.strip())
    if redirect:
        names = _words(split(rest)[0])
        if len(names) != 1:
            raise UsageError(f"expected one file name after {redirect!r}, not {rest.strip()!r}")
        return Line(words, file=names[0], append=redirect == ">>")
    return Line(words)


def split(text: str) -> tuple[str, str, str]:
    """The text before the first `|`, `>` or `>>` that is not quoted, that sign, and what follows; no comments.

    A `>` right after a path of `expect` compares.
    """
    for piece in _PIECE.finditer(text):
        if piece["comment"] is not None:
            return text[: piece.start()], "", ""
        if piece["redirect"] and not _COMPARES.fullmatch(text[: piece.end()]):
            return text[: piece.start()], piece["redirect"], text[piece.end() :]
    return text, "", ""


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{text.strip()!r}: {str(error).lower()}") from None


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
    from shutil import get_terminal_size, which

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
    elif pager and not at_once and sys.stdout.isatty() and which(shlex.split(pager)[0]):
        collected = _Terminal()
        yield collected
        text = collected.getvalue()
        if text.count("\n") < get_terminal_size().lines:
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
    import subprocess

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
