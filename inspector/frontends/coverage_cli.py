"""The words of `vtdpi coverage`."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add its options."""
    parser.add_argument("trace", metavar="TRACE", help="JSON lines that `trace --output` wrote, of an HVM lab")
    parser.add_argument("--version", default="current", metavar="V", help="the logic: current (4.20), seed (4.7), 4.21")
    parser.add_argument("--stores", metavar="dXvY", help="the stores that led to where this vCPU stands, as well")
    parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")


def run(args: argparse.Namespace) -> int:
    """Tell what comes of the trace; the exit status.

    Raises:
        UsageError: it is none.
    """
    from inspector.base.errors import UsageError
    from inspector.explore.coverage import coverage
    from inspector.views import json, text

    try:
        with open(args.trace, encoding="utf-8", errors="replace") as file:
            content = file.read()
    except OSError as error:
        raise UsageError(f"{args.trace} cannot be read: {error.strerror}") from None
    answer = coverage(content, args.trace, args.version, args.stores)
    (json if args.json else text).show(answer, sys.stdout)
    return answer.exit_status
