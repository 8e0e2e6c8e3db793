"""How far long work is: one line on the terminal, written over."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from inspector.base import progress


class Stage(Protocol):
    """How many states there are, how deep it is, how many are left there, and since when."""

    states: int
    depth: int
    queue: int
    seconds: float


class Progress:
    """The line, on stderr."""

    def __init__(self) -> None:
        self._told = False

    def tell(self, stage: Stage) -> None:
        """Say how far it is."""
        rate = stage.states / stage.seconds
        line = f"{stage.states:,} states, {rate:,.0f}/s, depth {stage.depth}, {stage.queue:,} of it to go"
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        self._told = True

    def clear(self) -> None:
        """Take the line away."""
        if self._told:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class StepsLine:
    """How many of a machine's steps are done, on stderr, if a person is there and waits."""

    AFTER = 0.5

    def __init__(self, total: int) -> None:
        self._total = total
        self._last = time.monotonic()
        self._told = False

    def tell(self, done: int) -> None:
        """Say it, now and then."""
        now = time.monotonic()
        if now - self._last >= self.AFTER and sys.stderr.isatty():
            self._last, self._told = now, True
            print(f"\r{done:,} of {self._total:,} steps\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._told:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class WorkBar:
    """A bar on stderr for work that takes longer than a second: a `progress.Listener`. Leaving it takes it away."""

    AFTER, EVERY = 1.0, 0.1
    WIDTH = 30

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._shown = False

    def __call__(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._start < self.AFTER or now - self._last < self.EVERY:
            return
        self._last, self._shown = now, True
        print(f"\r{what}: {self._bar(done, total)}\x1b[K", end="", file=sys.stderr, flush=True)

    def _bar(self, done: int, total: int | None) -> str:
        amount = f"{done / (1 << 20):,.0f} MiB"
        if not total or done > total:
            return amount
        full = done * self.WIDTH // total
        return f"[{'#' * full}{'.' * (self.WIDTH - full)}] {done * 100 // total} % of {total / (1 << 20):,.0f} MiB"

    def clear(self) -> None:
        """Take it away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False


@contextmanager
def counting() -> Iterator[None]:
    """While this lasts, a person at a terminal sees how much of the work is done, and how long the rest will take."""
    if not sys.stderr.isatty():
        yield
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
    screen = Console(stderr=True)
    with bars.Progress(*columns, bars.TimeRemainingColumn(), console=screen, transient=True) as shown:
        task = shown.add_task("", total=None)
        progress.listen(lambda what, done, total: shown.update(task, description=what, completed=done, total=total))
        try:
            yield
        finally:
            progress.listen(None)
