"""Run by hand: python -m tests.fuzz [--area A] [--seconds S] [--cases N] [--seed N] [--again AREA/SEED/N]

Without an area all of them share the time. Exit status 1 if a case failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.fuzz.areas import AREAS
from tests.fuzz.harness import run


def main() -> int:
    parser = argparse.ArgumentParser("tests.fuzz", description=__doc__)
    parser.add_argument("--area", action="append", choices=AREAS, help="only this one; may be repeated")
    parser.add_argument("--seconds", type=float, default=60, help="for all of it (default: 60)")
    parser.add_argument("--cases", type=int, default=10**9, help="of each area at most")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--again", metavar="SEED", help="one case again, with its traceback")
    options = parser.parse_args()
    if options.again:
        AREAS[options.again.partition("/")[0]](random.Random(options.again))
        return 0
    areas = options.area or list(AREAS)
    total = failed = 0
    for area in areas:
        result = run(area, AREAS[area], options.seed, options.cases, options.seconds / len(areas))
        print(f"{area:16} {result.cases:9,} cases, {result.said:9,} refused, {len(result.failures)} kinds of failure")
        for kind, where in result.failures.items():
            print(f"  {kind}: {where!r}")
        total += result.cases
        failed += len(result.failures)
    print(f"{'in all':16} {total:9,} cases, seed {options.seed}, {failed} kinds of failure")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
