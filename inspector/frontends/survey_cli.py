"""The words of `vtdpi survey`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add its options."""
    parser.description = "Look at many dumps, saved snapshots and logs, audit each, and group what was found."
    parser.add_argument(
        "files", nargs="+", metavar="FILE|DIR|GLOB|URL", help="what to look at; a folder with all in it"
    )
    parser.add_argument("--lines", metavar="FILE", help="write each row there as JSON when it is made; go on from it")
    parser.add_argument("--parquet", metavar="FILE", help="write the rows there as Parquet")
    parser.add_argument("--processes", type=int, metavar="N", help="work in so many (default: one each processor)")
    parser.add_argument("--dask", metavar="ADDRESS", help="have a Dask cluster do it (tcp://HOST:PORT)")
    parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")


def run(options: Namespace) -> int:
    """Do what the words say; the exit status. Raises VtdpiError if it cannot be done."""
    from inspector.base.errors import UsageError
    from inspector.batch import evidence
    from inspector.batch.survey import survey_files
    from inspector.batch.survey_answer import answer, write_parquet
    from inspector.batch.workers import processors
    from inspector.views import json, text
    from inspector.views.progress import counting

    processes = processors() if options.processes is None else options.processes
    if processes < 1:
        raise UsageError(f"--processes {processes}: expected 1 or more")
    with counting():
        surveyed = survey_files(evidence.found(options.files), processes, options.dask, options.lines)
    if options.parquet:
        write_parquet(surveyed, options.parquet)
    answered = answer(surveyed)
    (json if options.json else text).show(answered, sys.stdout)
    for line in (*answered.notes, *answered.problems):
        print(f"vtdpi: {line}", file=sys.stderr)
    return 130 if surveyed.left else answered.exit_status
