"""`vtdpi survey`."""

from __future__ import annotations

import sys

from inspector.base.arguments import FileName, argument, json_flag, option
from inspector.frontends.front_end import front_end
from structs.frozen import frozen

DESCRIPTION = "Look at many dumps, saved snapshots and logs, audit each, and group what was found."


@frozen
class SurveyOptions:
    """What it takes."""

    files: tuple[str, ...] = argument("what to look at; a folder with all in it", metavar="FILE|DIR|GLOB|URL")
    lines: FileName | None = option("write each row there as JSON when it is made; go on from it")
    parquet: FileName | None = option("write the rows there as Parquet")
    processes: int | None = option("work in so many (default: one each processor)")
    dask: str | None = option("have a Dask cluster do it (tcp://HOST:PORT)", metavar="ADDRESS")
    json: bool = json_flag()


def run(options: SurveyOptions) -> int:
    """Do what the words say; the exit status. Raises VtdpiError if it cannot be done."""
    from inspector.base import streams
    from inspector.base.errors import UsageError
    from inspector.batch import evidence
    from inspector.batch.survey import survey_files
    from inspector.batch.survey_answer import answer, check_parquet, write_parquet
    from inspector.batch.workers import processors
    from inspector.views import json, text
    from inspector.views.progress import counting

    processes = processors() if options.processes is None else options.processes
    if processes < 1:
        raise UsageError(f"--processes {processes}: expected 1 or more")
    # What is written is no evidence, though it be in the same folder.
    files = evidence.found(options.files, but=options.lines)
    kept = [options.lines or "", *(each.path for each in files)]
    if options.parquet:
        check_parquet(options.parquet, kept)
    with counting():
        surveyed = survey_files(files, processes, options.dask, options.lines)
    answered = answer(surveyed)
    (json if options.json else text).show(answered, sys.stdout)
    streams.tell((*answered.notes, *answered.problems))
    if options.parquet:
        write_parquet(surveyed, options.parquet, kept)
    return 130 if surveyed.left else answered.exit_status


FRONT_END = front_end(SurveyOptions, run, description=DESCRIPTION)
