"""What `vtdpi sim --campaign` does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from inspector.base import streams
from inspector.base.errors import UsageError
from inspector.targets.options import SimOptions

if TYPE_CHECKING:
    from inspector.frontends.target_words import Asked

ALONE = ("scenario", "load", "replay", "at", "serve")


def run(asked: Asked) -> int:
    """Make the runs and tell what became of them; the exit status: 1 if one failed.

    Raises:
        UsageError: what is asked for does not go together, or is not there.
    """
    from inspector.batch import campaign
    from inspector.batch.workers import processors
    from inspector.views import json, text
    from inspector.views.progress import counting

    options = asked.target
    assert isinstance(options, SimOptions)
    _refuse(asked, options)
    processes = processors() if options.processes is None else options.processes
    runs = campaign.runs(
        *(options.campaign or "", options.seeds, options.version, options.build, options.steps, options.keep)
    )
    with counting():
        made = campaign.campaign(list(runs), processes, options.dask)
    answered = campaign.answer(made)
    (json if asked.json else text).show(answered, sys.stdout)
    streams.tell(answered.problems)
    return 130 if made.left else answered.exit_status


def _refuse(asked: Asked, options: SimOptions) -> None:
    for name in ALONE:
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} stands beside --campaign, which has machines of its own")
    if asked.words or asked.batch:
        raise UsageError("a campaign takes no command: each run is audited")
    if options.processes is not None and options.processes < 1:
        raise UsageError(f"--processes {options.processes}: expected 1 or more")
