"""One function over many inputs: every input is answered once, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from inspector.base.errors import UsageError
from inspector.batch import workers
from inspector.batch.workers import Failure, Workers, processors
from tests.inspector.batch.jobs import dies, dies_once, double, large, slowly


def test_each_is_answered_once_and_an_error_is_its_own_alone():
    results = dict(Workers(double, 2).results(range(10, 20)))
    assert results.pop(13) == Failure("13 is no number to double")
    assert results.pop(17) == Failure("vtdpi itself failed at it: ValueError: a fault")
    assert results == {number: 2 * number for number in range(10, 20) if number not in (13, 17)}
    assert list(Workers(double, 2).results([])) == []


def test_one_process_answers_in_order():
    assert [one for one, _ in Workers(double, 1).results(range(300))] == list(range(300))


def test_what_a_worker_that_died_was_at_is_done_again(tmp_path):
    names = [str(tmp_path / name) for name in ("a", "b", "bad", "c", "d", "e", "f")]
    assert dict(Workers(dies_once, 2).results(names)) == {name: name.upper() for name in names}


@pytest.mark.thorough
def test_what_always_ends_its_worker_is_a_failure_and_the_rest_is_done():
    results = dict(Workers(dies, 2).results(range(7)))
    assert results == {number: number for number in range(7) if number != 3} | {
        3: Failure("the process that was at it died (out of memory?)")
    }


def test_a_worker_that_is_killed_from_outside(tmp_path, eventually):
    """It is killed while both are at work: nothing is lost, and no process is left."""
    results: list[tuple[str, object]] = []
    folders = [str(tmp_path / str(number)) for number in range(3)]
    for folder in folders:
        Path(folder).mkdir()
    work = Thread(target=lambda: results.extend(Workers(slowly, 2).results(folders)))
    work.start()
    eventually(lambda: list(tmp_path.glob("*/at-*")))
    first = int(next(tmp_path.glob("*/at-*")).name.removeprefix("at-"))
    os.kill(first, signal.SIGKILL)
    for folder in folders:
        (Path(folder) / "go").touch()
    work.join(60)
    assert sorted(folder for folder, _ in results) == folders
    assert all(isinstance(pid, int) and pid != first for _, pid in results)
    workers = {int(mark.name.removeprefix("at-")) for mark in tmp_path.glob("*/at-*")}
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.mark.thorough
def test_a_result_that_is_cut_in_two_keeps_nobody(tmp_path):
    """The worker is ended while it sends what is larger than a pipe."""
    for _ in range(3):
        results = Workers(large, 2).results([str(tmp_path / name) for name in "abcdefgh"])
        next(iter(results))
        results.close()


def test_workers_end_with_a_process_that_is_killed(tmp_path, eventually):
    """It had no time to end them. None was at work: such ones would wait forever."""
    program = f"from tests.inspector.batch.jobs import waits; waits({str(tmp_path)!r})"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[3])
    eventually(lambda: list(tmp_path.glob("at-*")))
    worker = int(next(tmp_path.glob("at-*")).name.removeprefix("at-"))
    parent.kill()
    parent.wait()
    eventually(lambda: not Path(f"/proc/{worker}").exists())


def test_processors():
    assert processors() == len(os.sched_getaffinity(0))


@pytest.mark.thorough
class TestDask:
    def test_as_here(self, dask):
        alone, together = (dict(Workers(double, 1, where).results(range(10, 20))) for where in (None, dask))
        assert together == alone

    def test_a_worker_that_dies_loses_nothing(self, dask_that_dies, tmp_path):
        names = [str(tmp_path / name) for name in ("a", "b", "bad", "c", "d")]
        results = dict(Workers(dies_once, 1, dask_that_dies).results(names))
        assert results == {name: name.upper() for name in names}

    def test_what_always_ends_its_worker(self, dask_that_dies):
        results = dict(Workers(dies, 1, dask_that_dies).results(range(5)))
        assert results.pop(3) == Failure("the workers that were at it died (out of memory?)")
        assert results == {0: 0, 1: 1, 2: 2, 4: 4}


@pytest.mark.thorough
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x"])
def test_no_cluster_there(address, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "PATIENCE", 1)
    with pytest.raises(UsageError, match=f"--dask {address}: no scheduler answers there"):
        list(Workers(double, 1, address).results([1]))
