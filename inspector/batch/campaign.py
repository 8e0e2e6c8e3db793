"""A campaign: random runs of scenarios from many seeds, each audited after each step."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from inspector.base import progress
from inspector.base.errors import UsageError
from inspector.batch.run import Run, RunResult, run
from inspector.batch.workers import Failure, Workers
from inspector.model.answer import Answer, AnyAnswer, Block, Table, Text
from inspector.model.schema_name import schema_name
from structs.frozen import frozen

STEPS = 1000
"""Of a run, unless it is said."""
MOST = 1_000_000
"""Runs of a campaign."""
_SEEDS = re.compile(r"(\d{1,18})(?:\.\.(\d{1,18}))?")


@frozen
class Campaign:
    """What became of the runs.

    Attributes:
        results: of those that were made, by scenario, then seed.
        undone: of those whose worker died or failed: scenario, seed, and why.
        left: how many were not made, for it was ended before.
    """

    results: tuple[RunResult, ...]
    undone: tuple[tuple[str, int, str], ...] = ()
    left: int = 0


def runs(scenarios: str, seeds: str, version: str, build: str | None, steps: int, folder: str) -> Iterator[Run]:
    """The runs that a command line asks for: all seeds of each scenario.

    Raises:
        UsageError: the seeds are none, or too many.
    """
    given = _SEEDS.fullmatch(seeds)
    first, last = (int(given[1]), int(given[2] or given[1])) if given else (1, 0)
    names = [name for word in scenarios.split(",") if word for name in _named(word)]
    if not names:
        raise UsageError("--campaign: expected scenarios, such as one-device,migration or 'scenarios/*.toml'")
    if not first <= last or len(names) * (last - first + 1) > MOST:
        raise UsageError(f"--seeds {seeds}: expected A..B, such as 0..99, and {MOST:,} runs at most")
    for name in names:
        for seed in range(first, last + 1):
            yield Run(name, version, build, seed, steps or STEPS, folder)


def _named(word: str) -> list[str]:
    """What matches a glob; a file's name is one, whatever letters it has."""
    return [word] if os.path.exists(word) else sorted(glob.glob(word)) or [word]


def campaign(asked: list[Run], processes: int, dask: str | None = None) -> Campaign:
    """Make the runs, as many at once as there are processes or workers. Ctrl-C ends it; what is done is told.

    Raises:
        UsageError, TargetError: as `Workers.results`; none of the runs could be made.
    """
    results: list[RunResult] = []
    undone: list[tuple[str, int, str]] = []
    failures: list[Failure] = []
    try:
        for one, result in Workers(run, processes, dask).results(asked):
            if isinstance(result, Failure):
                failures.append(result)
                undone.append((one.scenario, one.seed, result.why))
            else:
                results.append(result)
            progress.tell("runs", len(results) + len(undone), len(asked))
    except KeyboardInterrupt:
        pass
    if failures and not results:
        raise failures[0].error()
    results.sort(key=lambda result: (result.scenario, result.seed))
    return Campaign(tuple(results), tuple(sorted(undone)), len(asked) - len(results) - len(undone))


def answer(made: Campaign) -> AnyAnswer:
    """A row for each scenario, and one for each failure."""
    failures = [(result, result.failure) for result in made.results if result.failure is not None]
    document: dict[str, Any] = {
        "schema": schema_name("campaign"),
        "runs": [msgspec.to_builtins(result) for result in made.results],
        "not_made": [{"scenario": name, "seed": seed, "why": why} for name, seed, why in made.undone],
        "left_count": made.left,
    }
    blocks: list[Block] = [Table(COLUMNS, list(_rows(made)), numeric=frozenset(COLUMNS[1:4]))]
    if failures:
        rows = [
            (
                r.scenario,
                str(r.seed),
                str(f.step),
                f.rule or "crash",
                f.subject,
                f.message,
                f.replay or f.unkept or "not replayed",
            )
            for r, f in failures
        ]
        heads = ("SCENARIO", "SEED", "STEP", "RULE", "SUBJECT", "FINDING", "AGAIN")
        blocks.append(Table(heads, rows, "Failures", frozenset(("SEED", "STEP"))))
    words = f"{len(made.results)} runs, {sum(result.step_count for result in made.results)} steps, each audited;"
    words += f" {len(failures)} runs failed"
    if made.left:
        words += f"; {made.left} runs left, for it was ended before"
    problems = [f"{name}, seed {seed}: {why}" for name, seed, why in made.undone]
    return Answer(document, [*blocks, Text(words)], problems, bug=bool(failures))


COLUMNS = ("SCENARIO", "RUNS", "STEPS", "FAILED", "SUSPICIONS THAT WENT")


def _rows(made: Campaign) -> Iterator[tuple[str, ...]]:
    for name in dict.fromkeys(result.scenario for result in made.results):
        of_it = [result for result in made.results if result.scenario == name]
        went = sum((Counter(result.suspicion_counts) for result in of_it), Counter())
        failed = sum(result.failure is not None for result in of_it)
        words = ", ".join(f"{rule} x{count}" for rule, count in sorted(went.items())) or "none"
        yield name, str(len(of_it)), str(sum(result.step_count for result in of_it)), str(failed), words
