"""Which prompt it is: one with all its parts on a terminal, plain lines everywhere else."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from inspector.shell import config
from inspector.shell.guide import NOBODY, Guide

if TYPE_CHECKING:
    from inspector.shell.session import Session


def start(session: Session, guide: Guide = NOBODY) -> int:
    """Read lines and run them until the end; the exit status.

    Raises:
        TargetError: the user's configuration makes no sense.
        TargetError: the target cannot be opened.
    """
    session.settings = config.load()
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from inspector.repl.prompt import Prompt

        return Prompt(session, guide).run()
    from inspector.repl import plain

    return plain.run(session, guide)
