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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from inspector.base import new_file
from inspector.base.errors import UsageError
from structs.frozen import frozen

if TYPE_CHECKING:
    from subprocess import Popen

_PIECE = re.compile(
    r"""\\. | '[^']*' | "(?:\\.|[^"\\])*"
    | (?P<comment>(?:^|(?<=\s))\#[^\n]*) | (?P<redirect>\||>>?) | (?P<end>[;\n]) | .""",
    re.VERBOSE | re.DOTALL,
)
_COMPARES = re.compile(
    r"\s*(?:expect|break|run(?:\s+\S+)?\s+until)\s.*\s(?P<quote>['\"]?)\.\S*(?P=quote)\s+>", re.DOTALL
)
_SIDEWAYS = re.compile(r"(?<!\S)(?:-[A-Za-z]*S[A-Za-z]*|--chop-long-lines)(?!\S)")
"""The option by which less scrolls sideways."""


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


def statements(text: str) -> list[str]:
    """The commands of a text, each with its pipe or file: separated by `;`, or by line breaks as pasted ones are.

    >>> statements("irt | grep ';' ; vcpus")
    ["irt | grep ';' ", ' vcpus']
    """
    cuts = [piece.start() for piece in _PIECE.finditer(text) if piece["end"]]
    return [text[a + 1 : b] for a, b in zip([-1, *cuts], [*cuts, len(text)], strict=True)]


def split(text: str) -> tuple[str, str, str]:
    """The text before the first `|`, `>` or `>>` that is not quoted, that sign, and what follows; no comments.

    A `>` right after a path of `expect`, `break` or `run until` compares.
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
    """Text for a terminal, which somebody else will show there.

    Attributes:
        sideways: whether that one scrolls to what is too wide.
    """

    sideways = False

    def isatty(self) -> bool:
        return True


def deliver(
    line: Line, show: Callable[[IO[str]], None], pager: str = "", keep: Sequence[str] = (), at_once: bool = False
) -> int:
    """Have an answer shown where it goes: to the terminal, a pipe or a file. If it fails, nothing is delivered.

    Args:
        line: tells the pipe or file, if any.
        show: writes the answer; where there is a pager it may be written twice, to find out how long it is.
        pager: a shell command that shows what is longer than the screen; none if empty.
        keep: files that must not be written over.
        at_once: deliver to a terminal or a pipe what is written when it is written.

    Returns:
        The exit status of the pipe's shell command; 0 without one.

    Raises:
        UsageError: the file cannot be written.
    """
    status = 0
    if line.pipe and at_once:
        with _piped(line.pipe) as process:
            show(_input_of(process))
        status = _status(process)
    elif line.pipe:
        status = _pipe(line.pipe, _collected(show, io.StringIO()))
    elif line.file:
        text = _collected(show, io.StringIO())
        store = new_file.append if line.append else new_file.write
        store(line.file, text, keep=keep)
    elif pager and not at_once and sys.stdout.isatty() and _which(shlex.split(pager)[0]):
        _paged(pager, show)
    else:
        show(sys.stdout)
    sys.stdout.flush()
    return status


def _which(command: str) -> str | None:
    from shutil import which

    return which(command)


def _paged(pager: str, show: Callable[[IO[str]], None]) -> None:
    from shutil import get_terminal_size

    text = _collected(show, _Terminal())
    if text.count("\n") < get_terminal_size().lines:
        # Anew, for a terminal may have what a pager has not.
        show(sys.stdout)
        return
    if _SIDEWAYS.search(pager):
        wide = _Terminal()
        wide.sideways = True
        text = _collected(show, wide)
    _pipe(pager, text)


def _collected(show: Callable[[IO[str]], None], into: io.StringIO) -> str:
    show(into)
    return into.getvalue()


def _pipe(command: str, text: str) -> int:
    """Run a shell command on the text; its exit status. Ctrl-C is the command's: it reaches it from the terminal."""
    with _piped(command) as process, suppress(KeyboardInterrupt):
        _input_of(process).write(text)
    return _status(process)


@contextmanager
def _piped(command: str) -> Iterator[Popen[str]]:
    """Write to a shell command, until it has seen enough, and wait for its end."""
    import subprocess

    sys.stdout.flush()
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, text=True)
    try:
        with suppress(BrokenPipeError):
            yield process
    finally:
        with suppress(OSError):
            _input_of(process).close()
        while process.returncode is None:
            with suppress(KeyboardInterrupt):
                process.wait()


def _input_of(process: Popen[str]) -> IO[str]:
    assert process.stdin
    return process.stdin


def _status(process: Popen[str]) -> int:
    """As a shell tells it: 128 and the signal that ended it."""
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
