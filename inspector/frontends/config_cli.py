"""The words of `vtdpi config`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """It takes none."""


def run(options: Namespace) -> int:
    """Print the default configuration; the exit status."""
    from inspector.repl import config

    print(config.default(), end="")
    return 0
