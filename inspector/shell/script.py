"""Command lines that nobody is there to type: `-c LINE`, `--script FILE`, and lines that come through a pipe.

A line is what one types at the prompt, `| grep` and `> file` included. What is wrong or cannot be read ends the script.
What is not as expected, is not complete, or has a bug that an audit found does not, but counts in the exit status.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.base import reading
from inspector.base.errors import ExpectationFailed, UsageError, VtdpiError
from inspector.base.foreign_text import visible
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.shell.session import Answered, Session

LARGEST = 16 * reading.MIB
"""Bytes of a script."""


DEEPEST = 16
"""Files of commands that source one another."""


class Leave(Exception):
    """A line asks to leave."""


@frozen
class Ran:
    """A line that was run: where it stands, its exit status, what was said if it failed, and how long it took."""

    where: str
    text: str
    status: int
    said: str = ""
    seconds: float = 0.0


@frozen
class CommandLine:
    """A line given by `-c`."""

    text: str

    def lines(self) -> Iterator[tuple[str, str]]:
        """The line, and where it stands."""
        yield f"-c {self.text!r}", self.text


@frozen
class ScriptFile:
    """A file of lines; `-` is stdin."""

    path: str

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each line, and where it stands. Raises TargetError if the file cannot be read."""
        for number, line in enumerate(self._text(), 1):
            yield f"{self.path}:{number}", line

    def _text(self) -> Sequence[str]:
        if self.path == "-":
            return reading.decoded(sys.stdin.buffer, "stdin", LARGEST).splitlines()
        return reading.text(self.path, LARGEST, kind="the script").splitlines()


def run(session: Session, parts: Iterable[CommandLine | ScriptFile], junit: str | None = None) -> int:
    """Run the lines; the exit status of the first that did not end with 0, else 0.

    Args:
        session: the target.
        parts: where the lines come from.
        junit: a file for a JUnit XML report, one test case a line.

    Raises:
        VtdpiError: a line failed; the message says which.
    """
    from inspector.shell import line

    lines = [(where, text) for part in parts for where, text in part.lines() if line.split(text)[0].strip()]
    ran: list[Ran] = []
    status = 0
    try:
        for where, text in lines:
            began = time.perf_counter()
            note(session, text)
            try:
                outcome = Ran(where, text, run_line(session, text))
            except Leave:
                del lines[len(ran) :]
                break
            except ExpectationFailed as error:
                session.show_error(error.at(where), text.split(), sys.stdout)
                print(f"vtdpi: {visible(f'{where}: {error}')}", file=sys.stderr)
                outcome = Ran(where, text, error.exit_status, str(error))
            except VtdpiError as error:
                ran.append(Ran(where, text, error.exit_status, str(error), time.perf_counter() - began))
                failed = error.at(where)
                session.show_error(failed, text.split(), sys.stdout)
                failed.exit_status = status or error.exit_status
                raise failed from error
            ran.append(replace(outcome, seconds=time.perf_counter() - began))
            status = status or outcome.status
    finally:
        if junit is not None:
            from inspector.shell import junit as report

            report.write(junit, ran, lines[len(ran) :])
    unexpected = [each for each in ran if each.said]
    if len(unexpected) > 1:
        print(f"vtdpi: {len(unexpected)} of {len(ran)} lines did not find what they expect", file=sys.stderr)
    return status


def note(session: Session, text: str) -> None:
    """Have a line that is about to be run in the session's history."""
    if text.strip() and not session.sourced:
        session.lines.append(text.strip())


def run_line(session: Session, text: str, paged: bool = False) -> int:
    """Run one line, or several commands of one (`;`), or several lines; the exit status of the first that is not 0.

    A command that goes through a pipe has its own status, or else that of the pipe's shell command.

    Args:
        session: the target.
        text: the line.
        paged: whether an answer that is longer than the screen is shown by the user's pager.

    Raises:
        VtdpiError: it failed.
        Leave: it says so.
    """
    from inspector.shell import line

    if text.lstrip().startswith("!"):
        return _shell(text.lstrip()[1:])
    status = 0
    for statement in line.statements(text):
        ended = _run(session, _expanded(statement, session.settings.aliases), paged)
        status = status or ended
    return status


def _shell(command: str) -> int:
    """Run a shell command; its exit status. Ctrl-C is the command's."""
    import subprocess
    from contextlib import suppress

    if not command.strip():
        raise UsageError("expected a shell command after '!', such as `!ls`")
    sys.stdout.flush()
    process = subprocess.Popen(command, shell=True)
    while process.returncode is None:
        with suppress(KeyboardInterrupt):
            process.wait()
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _source(session: Session, words: Sequence[str]) -> int:
    """`source FILE`; its exit status, as of a script."""
    if len(words) != 1:
        raise UsageError("expected one file of commands: source FILE")
    if len(session.sourced) >= DEEPEST:
        raise UsageError(f"{words[0]} is not read: {DEEPEST} files source one another already")
    session.sourced.append(words[0])
    try:
        return run(session, [ScriptFile(words[0])])
    finally:
        session.sourced.pop()


def _repeat(session: Session, text: str, paged: bool) -> int:
    """`repeat N LINE`; the exit status of the first that is not 0."""
    words = text.split(None, 2)
    if len(words) < 3 or not words[1].isdigit():
        raise UsageError("expected how often, and what: repeat 3 step")
    status = 0
    for _ in range(int(words[1])):
        ended = run_line(session, words[2], paged)
        status = status or ended
    return status


def _run(session: Session, text: str, paged: bool) -> int:
    from inspector.shell import line

    if text.lstrip().startswith("!"):
        return _shell(text.lstrip()[1:])
    if text.split(None, 1)[:1] == ["repeat"]:
        return _repeat(session, text, paged)
    parsed = line.parse(text)
    if not parsed.words:
        return 0
    if parsed.words[0] == "source":
        return _source(session, parsed.words[1:])
    if parsed.words[0] in ("quit", "exit"):
        raise Leave
    try:
        answered = _answered(session, parsed.words)
    except SystemExit:
        return 0
    keep = session.opened.files if session.opened else ()
    pager = session.settings.pager if paged else ""
    piped = line.deliver(parsed, answered.show, pager, keep, at_once=answered.in_parts)
    answered.tell(sys.stderr)
    return answered.status or piped


def _answered(session: Session, words: Sequence[str]) -> Answered:
    """The answer of the session itself, or else of its target."""
    from inspector.shell.session import Answered
    from inspector.shell.words import ANSWERING

    if words[0] not in ANSWERING:
        return session.ask(words)
    rest = [word for word in words[1:] if word != "--json"]
    asks_json = session.json or session.settings.format == "json" or len(rest) < len(words) - 1
    return Answered(ANSWERING[words[0]](session, rest), asks_json, terminal=session.settings.terminal)


def _expanded(text: str, aliases: Mapping[str, str]) -> str:
    word, space, rest = text.strip().partition(" ")
    return f"{aliases[word]}{space}{rest}" if word in aliases else text
