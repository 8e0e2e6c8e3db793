"""`vtdpi explore`."""

from __future__ import annotations

import sys

from inspector.explore.options import ExploreOptions
from inspector.frontends.front_end import front_end

DESCRIPTION = "Run every interleaving of a bounded scenario, and prove its properties or break them."


def run(options: ExploreOptions) -> int:
    """Do what the words say; the exit status. Raises VtdpiError if it cannot be done."""
    _keep_what_is_read(options)
    if options.reading.read is not None:
        return _read(options, options.reading.read)
    if options.many.swarm is not None:
        from inspector.frontends import swarm_cli

        return swarm_cli.run(options)
    from inspector.explore import exploring

    return exploring.listed(options) if options.list else exploring.explored(options)


def _keep_what_is_read(options: ExploreOptions) -> None:
    """Said before long work, not after it."""
    from inspector.base.new_file import refuse_to_lose

    wanted = options.reading
    read = [path for path in (options.scenario, options.property, wanted.read) if path]
    for written in (options.save, wanted.html, wanted.graph, wanted.perfetto, wanted.promela):
        if written:
            refuse_to_lose(written, read)


def _read(options: ExploreOptions, path: str) -> int:
    """Show a history that was written before."""
    from inspector.explore.show import answer, show
    from inspector.targets.sim.simulation import read_history

    wanted = options.reading
    reading = show(
        read_history(path),
        sys.stdout,
        json=options.json,
        every_step=wanted.every_step,
        audit_steps=wanted.audit_steps,
        html=wanted.html,
        perfetto=wanted.perfetto,
    )
    return answer(reading).exit_status


FRONT_END = front_end(ExploreOptions, run, description=DESCRIPTION)
