"""One function over many inputs, by several processes of this machine or by the workers of a Dask cluster.

Results come as they are ready. What a worker that dies was at is done again, alone; what ends its worker even then is a
Failure, as is what raises an error: neither ends the rest.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from inspector.base import signals
from inspector.base.errors import TargetError, UsageError, VtdpiError
from structs.frozen import frozen

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")
QUEUED = 2
"""So many inputs for each worker are under way: none waits for this process, and little is done again if one dies."""
RETRIES = 3
PATIENCE = 10
"""Seconds for a scheduler to answer."""


@frozen
class Failure:
    """Why there is no result.

    Attributes:
        usage: whether a word of the command line is wrong.
    """

    why: str
    usage: bool = False

    def error(self) -> VtdpiError:
        """To be raised, where it is the answer to all that was asked."""
        return (UsageError if self.usage else TargetError)(self.why)


@frozen
class Workers(Generic[T, R]):
    """Who does the work.

    Args:
        work: a function of a module: the workers import it.
        processes: of this machine.
        dask: the address of a Dask scheduler, `tcp://HOST:PORT`, whose workers have vtdpi too; None: no such.
    """

    work: Callable[[T], R]
    processes: int
    dask: str | None = None

    def results(self, inputs: Sequence[T]) -> Iterator[tuple[T, R | Failure]]:
        """Each input with what became of it, in the order in which they are done.

        Raises:
            UsageError: there is no Dask here, or no such cluster.
            TargetError: the cluster went away.
        """
        return self._on_cluster(inputs) if self.dask else self._here(inputs)

    def _here(self, inputs: Sequence[T]) -> Iterator[tuple[T, R | Failure]]:
        left = list(inputs)
        while left:
            done, suspects = yield from self._pooled(left, min(self.processes, len(left)))
            left = left[done:]
            for suspect in suspects:
                yield suspect, self._alone(suspect)

    def _pooled(
        self, inputs: Sequence[T], processes: int
    ) -> Generator[tuple[T, R | Failure], None, tuple[int, list[T]]]:
        """As `results`, until all is done or a worker died; returns how many were begun, and which are not done."""
        under_way: dict[Future[R | Failure], T] = {}
        begun, pool = 0, _pool(processes)
        try:
            while begun < len(inputs) or under_way:
                while begun < len(inputs) and len(under_way) < processes * QUEUED:
                    with _unasked():
                        future = pool.submit(_tried, self.work, inputs[begun])
                    under_way[future] = inputs[begun]
                    begun += 1
                done = wait(under_way, return_when=FIRST_COMPLETED).done
                for future in [each for each in under_way if each in done]:
                    result = future.result()
                    yield under_way.pop(future), result
        except BrokenProcessPool:
            return begun, list(under_way.values())
        finally:
            _end(pool)
        return begun, []

    def _alone(self, one: T) -> R | Failure:
        pool = _pool(1)
        try:
            with _unasked():
                future = pool.submit(_tried, self.work, one)
            return future.result()
        except BrokenProcessPool:
            return Failure("the process that was at it died (out of memory?)")
        finally:
            _end(pool)

    def _on_cluster(self, inputs: Sequence[T]) -> Iterator[tuple[T, R | Failure]]:
        with _client(self.dask or "") as client, client.as_current():
            from distributed import as_completed

            tried = partial(_tried, self.work)

            def submitted(one: T) -> Future[R | Failure]:
                future: Future[R | Failure] = client.submit(tried, one, retries=RETRIES, pure=False)
                return future

            futures = {submitted(one): one for one in inputs}
            suspects = []
            for future in as_completed(list(futures)):
                if _killed(future):
                    suspects.append(futures[future])
                else:
                    yield futures[future], self._outcome(future)
            # The scheduler suspects all that a worker had when it died, also what only waited there.
            for one in suspects:
                future = submitted(one)
                died = Failure("the workers that were at it died (out of memory?)")
                yield one, died if _killed(future) else self._outcome(future)

    def _outcome(self, future: Future[R | Failure]) -> R | Failure:
        error = future.exception()
        if error is None:
            return future.result()
        if future.cancelled():
            raise TargetError(f"the Dask cluster at {self.dask} went away: run it again, it resumes")
        return Failure(f"the worker failed: {type(error).__name__}: {error}")


def _killed(future: Future[R | Failure]) -> bool:
    """Whether a cluster gave it up since its workers died; waits until that is known."""
    return type(future.exception()).__name__ == "KilledWorker"


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _tried(work: Callable[[T], R], one: T) -> R | Failure:
    try:
        return work(one)
    except VtdpiError as error:
        return Failure(str(error), isinstance(error, UsageError))
    except Exception as error:
        # A fault of ours at one input: it is told, and the others are answered all the same.
        return Failure(f"vtdpi itself failed at it: {type(error).__name__}: {error}")


def _pool(processes: int) -> ProcessPoolExecutor:
    # Not by fork: this process may have threads. The tracker, when it starts, undoes what `_unasked` does: it is first.
    resource_tracker.ensure_running()
    return ProcessPoolExecutor(processes, get_context("spawn"), _begin_worker)


@contextmanager
def _unasked() -> Iterator[None]:
    """A process that is started here is not reached by Ctrl-C, which the terminal sends to all: not even before
    `_begin_worker`. What asks this process to end waits until the end of this block.
    """
    with signals.held():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """Ctrl-C reaches every process of the terminal; only the one that waits for the others is to act on it. A worker
    ends with that one, also if it was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=[parent_process()], daemon=True).start()


def _end_with(parent: BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
        os._exit(1)


def _end(pool: ProcessPoolExecutor) -> None:
    """Let nothing go on: what is begun is of no use to anybody any more."""
    with signals.held():
        for process in list((pool._processes or {}).values()):
            with suppress(OSError, ValueError):
                process.terminate()
                process.join()
        # Of a result that was cut in two a thread waits for the rest, as long as its pipe has another end.
        if writer := getattr(pool._result_queue, "_writer", None):
            writer.close()
        pool.shutdown(cancel_futures=True)


def _client(address: str) -> Client:
    try:
        from distributed import Client
        from distributed.comm import resolve_address
    except ImportError:
        raise UsageError("--dask needs Dask: `pip install 'vtdpi[cluster]'`") from None
    try:
        # A client that was not made for its address's sake complains once more, with a traceback, when it is gone.
        resolve_address(address)
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"--dask {address}: no scheduler answers there ({error or type(error).__name__})") from None
