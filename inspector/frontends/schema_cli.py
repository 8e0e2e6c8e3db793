"""The words of `vtdpi schema`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", nargs="?", metavar="COMMAND", help="whose answers it is of (default: list them)")


def run(options: Namespace) -> int:
    """Print a schema, or the names of all; the exit status. Raises UsageError if there is none of that name."""
    from inspector.commands import schemas

    print(schemas.shipped(options.name).rstrip("\n") if options.name else "\n".join(schemas.names()))
    return 0
