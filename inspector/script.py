"""Command lines that nobody is there to type: `-c LINE`, `--script FILE`, and lines that come through a pipe.

A line is what one types at the prompt, `| grep` and `> file` included. What is wrong, cannot be read or is not as
expected ends the script; an answer that is not complete, or in which an audit found a bug, does not, but counts in the
exit status.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.errors import UsageError, VtdpiError

if TYPE_CHECKING:
    from inspector.session import Session


@dataclass(frozen=True)
class CommandLine:
    """A line given by `-c`."""

    text: str

    def lines(self) -> Iterator[tuple[str, str]]:
        """The line, and where it stands."""
        yield f"-c {self.text!r}", self.text


@dataclass(frozen=True)
class ScriptFile:
    """A file of lines; `-` is stdin."""

    path: str

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each line, and where it stands. Raises UsageError if the file cannot be read."""
        for number, line in enumerate(self._text(), 1):
            yield f"{self.path}:{number}", line

    def _text(self) -> Sequence[str]:
        try:
            if self.path == "-":
                return sys.stdin.read().splitlines()
            with open(self.path, encoding="utf-8") as file:
                return file.read().splitlines()
        except OSError as error:
            raise UsageError(f"the script {self.path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"the script {self.path} is no text: {error}") from error


def run(session: Session, parts: Iterable[CommandLine | ScriptFile]) -> int:
    """Run the lines; the exit status of the first that did not end with 0, else 0.

    Raises:
        VtdpiError: a line failed; the message says which.
    """
    lines = [line for part in parts for line in part.lines()]
    status = 0
    for where, text in lines:
        try:
            status = run_line(session, text) or status
        except VtdpiError as error:
            failed = VtdpiError(f"{where}: {error}")
            failed.exit_status = status or error.exit_status
            raise failed from error
    return status


def run_line(session: Session, text: str) -> int:
    """Run one line; its exit status. Raises VtdpiError."""
    from inspector import line, output

    parsed = line.parse(text)
    if not parsed.words:
        return 0
    try:
        answered = session.ask(parsed.words)
    except SystemExit:
        return 0
    with output.to(parsed) as out:
        answered.show(out)
    answered.tell(sys.stderr)
    return answered.status
