"""The words of `vtdpi explain`, which needs no target."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("thing", nargs="?", metavar="THING", help="a rule (D5), situation (S8), hazard, bug or field")
    parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")


def run(options: Namespace) -> int:
    """Print the explanation; the exit status. Raises UsageError if nothing is called so."""
    from inspector.commands.explain import explain, explained
    from inspector.shell.session import Answered

    answered = Answered(explained(options.thing).named(explain.schema), options.json)
    answered.show(sys.stdout)
    return answered.status
