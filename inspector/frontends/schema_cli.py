"""`vtdpi schema`."""

from __future__ import annotations

from inspector.base.arguments import argument
from inspector.frontends.front_end import front_end
from structs.frozen import frozen


@frozen
class SchemaOptions:
    """What it takes."""

    name: str | None = argument("whose answers it is of (default: list them)", None, metavar="COMMAND")


def run(options: SchemaOptions) -> int:
    """Print a schema, or the names of all; the exit status. Raises UsageError if there is none of that name."""
    from inspector.commands import schemas

    print(schemas.shipped(options.name).rstrip("\n") if options.name else "\n".join(schemas.names()))
    return 0


FRONT_END = front_end(SchemaOptions, run)
