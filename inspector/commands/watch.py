"""A live table of vCPUs, descriptors and lists: what changed since the last look is marked, findings as they come.

This lets a live machine RUN, and stops it for each look only; the table tells for how long. A simulated machine does
some steps between two looks. Afterwards the machine stands still, or runs, as before.

Keys: space looks once, c goes on, + and - change the interval, q leaves. Without a terminal: lines of what changed.

vtdpi sim --scenario wakeup-storm watch
vtdpi live watch --interval 2
vtdpi live watch --count 10 > looks.txt
"""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from importlib import import_module

from inspector.capture.inspection import Inspection
from inspector.commands.arguments import number
from inspector.model.answer import Answer, Text
from inspector.watch.lines import lines
from inspector.watch.looks import Looks, Seen

WHILE_RUNNING = True
INTERVAL, STEPS = 0.5, 500


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--interval", type=_seconds, default=INTERVAL, metavar="S", help=f"seconds between looks (default {INTERVAL:g})"
    )
    parser.add_argument(
        "--count", type=number, default=0, metavar="N", help="leave after so many looks (default: go on)"
    )
    parser.add_argument(
        "--steps", type=number, default=STEPS, metavar="N", help=f"(sim) steps between two looks (default {STEPS})"
    )


def run(inspection: Inspection, options: Namespace) -> Answer:
    with Looks(inspection, options.steps) as looks:
        if not options.json and _is_terminal():
            # Only here, for it brings what draws on terminals.
            screen = import_module("inspector.watch.screen").Screen
            last = screen(looks, inspection.target.description, options.interval, options.count).run()
        else:
            last = _plainly(looks, options)
    if last is None:
        return Answer({"looks": 0, "findings": []}, [Text("no look")])
    found = [{"rule": f.rule, "severity": f.severity, "subject": f.subject} for f in last.findings]
    return Answer({"looks": last.number, "findings": found}, [Text(f"{last.number} looks")], last.problems)


def _plainly(looks: Looks, options: Namespace) -> Seen | None:
    """A line for each change, until the count is reached or Ctrl-C."""
    last = None
    try:
        while not options.count or not last or last.number < options.count:
            last = looks.take((lambda: time.sleep(options.interval)) if last else lambda: None)
            if not options.json:
                print("\n".join(lines(last)), flush=True)
    except KeyboardInterrupt:
        pass
    return last


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _seconds(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0.05 <= value <= 60:
        raise ArgumentTypeError(f"{word!r} is no interval; expected 0.05 to 60 seconds, such as 0.5")
    return value
