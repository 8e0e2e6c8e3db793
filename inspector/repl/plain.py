"""Plain lines: from a pipe, or from a terminal that can do no more than print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from inspector.base.errors import VtdpiError
from inspector.base.foreign_text import one_line, visible
from inspector.shell.guide import NOBODY, Guide
from inspector.shell.script import Leave, note, run_line

if TYPE_CHECKING:
    from inspector.shell.session import Session


def confirmed(why: str) -> bool:
    """Ask whoever types whether to go on. Raises KeyboardInterrupt."""
    print(f"{why} Go on? (y or n) ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def run(session: Session, guide: Guide = NOBODY) -> int:
    """Run the lines of stdin, going on after one that fails; the exit status of the first that did, else 0.

    A prompt is printed if somebody types, and then the status is 0; none if a pipe brings the lines.
    """
    session.target  # noqa: B018 - opens it
    typed = sys.stdin.isatty()
    if typed:
        session.confirms = confirmed
    status = 0
    while True:
        try:
            if typed:
                print(f"{one_line(session.name)}> ", end="", flush=True)
            text = sys.stdin.readline()
            if not text:
                return status
            if guide.takes(text):
                continue
            note(session, text)
            ended = run_line(session, text)
        except Leave:
            return status
        except VtdpiError as error:
            session.show_error(error, text.split(), sys.stdout)
            sys.stdout.flush()
            print(f"vtdpi: {visible(str(error))}", file=sys.stderr)
            ended = error.exit_status
        except KeyboardInterrupt:
            if not typed:
                raise
            print("\nvtdpi: interrupted", file=sys.stderr)
            ended = 0
        guide.after(text)
        sys.stdout.flush()
        status = status or (0 if typed else ended)
