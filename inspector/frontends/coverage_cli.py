"""`vtdpi coverage`."""

from __future__ import annotations

import sys

from inspector.base.arguments import FileName, argument, json_flag, option
from inspector.frontends.front_end import front_end
from structs.frozen import frozen


@frozen
class CoverageOptions:
    """What it takes."""

    trace: FileName = argument("JSON lines that `trace --output` wrote, of an HVM lab", metavar="TRACE")
    version: str = option("the logic: current (4.20), seed (4.7), 4.21", "current", metavar="V")
    stores: str | None = option("the stores that led to where this vCPU stands, as well", metavar="dXvY")
    json: bool = json_flag()


def run(options: CoverageOptions) -> int:
    """Tell what comes of the trace; the exit status.

    Raises:
        TargetError: it is none.
    """
    from inspector.explore.coverage import coverage
    from inspector.trace.trace_file import read
    from inspector.views import json, text

    answer = coverage(read(options.trace), options.trace, options.version, options.stores)
    (json if options.json else text).show(answer, sys.stdout)
    return answer.exit_status


FRONT_END = front_end(CoverageOptions, run)
