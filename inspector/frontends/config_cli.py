"""`vtdpi config`."""

from __future__ import annotations

from inspector.base.arguments import NoArguments
from inspector.frontends.front_end import front_end


def run(options: NoArguments) -> int:
    """Print the default configuration; the exit status."""
    from inspector.repl import config

    print(config.default(), end="")
    return 0


FRONT_END = front_end(NoArguments, run)
