"""The words of `vtdpi explore`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--read", metavar="FILE", help="show a history that was written before")
    parser.add_argument("--every-step", action="store_true", help="a row for each step, also where nothing is seen")
    parser.add_argument("--audit-steps", action="store_true", help="audit after each step: when does a rule fire first")
    parser.add_argument("--html", metavar="FILE", help="write the history as a page")
    parser.add_argument("--perfetto", metavar="FILE", help="write the history for ui.perfetto.dev")
    parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")


def run(options: Namespace) -> int:
    """Do what the words say; the exit status. Raises VtdpiError if it cannot be done."""
    from inspector.errors import UsageError
    from inspector.explore.show import answer, show
    from inspector.targets.simulation import read_history

    if options.read is None:
        raise UsageError("nothing to read; expected --read FILE")
    reading = show(
        read_history(options.read),
        sys.stdout,
        json=options.json,
        every_step=options.every_step,
        audit_steps=options.audit_steps,
        html=options.html,
        perfetto=options.perfetto,
    )
    return answer(reading).exit_status
