"""A Dask cluster of this machine, for all that a cluster does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest


@pytest.fixture(scope="package")
def dask() -> Iterator[str]:
    """The address of a scheduler with two workers, each a process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as made:
        yield made.scheduler_address


class Mortal:
    """A worker of a Dask cluster that is a process of its own; when it dies, another takes its place."""

    def __init__(self, scheduler: str, directory: Path) -> None:
        self._words = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--no-nanny", "--nthreads", "1"]
        self._words += ["--no-dashboard", "--local-directory", str(directory)]
        self._ended = False
        self._process = self._started()
        self._watch = Thread(target=self._replace)
        self._watch.start()

    def _started(self) -> subprocess.Popen[bytes]:
        root = Path(__file__).parents[3]
        return subprocess.Popen(self._words, cwd=root, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _replace(self) -> None:
        while True:
            self._process.wait()
            if self._ended:
                return
            self._process = self._started()

    def end(self) -> None:
        """End it for good."""
        self._ended = True
        while self._watch.is_alive():
            self._process.kill()
            self._watch.join(0.1)


@pytest.fixture
def dask_that_dies(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with two workers that may be killed.

    Dask's own nanny forgets a worker that is killed before it has told the nanny that it is there.
    """
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as made:
        workers = [Mortal(made.scheduler_address, tmp_path) for _ in range(2)]
        try:
            yield made.scheduler_address
        finally:
            for each in workers:
                each.end()
