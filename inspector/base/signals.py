"""Signals that ask the program to end: SIGTERM and SIGHUP are taken as SIGINT (Ctrl-C) is, from the first moment on.

They raise where the program is, so that whatever was stopped or changed is put back on the way out. What must not be
cut in two is done in `held`. While a module is being imported nothing is raised, for libraries turn the exception into
another one, or lose it: the signal comes when the import is done.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
IMPORT = "<frozen importlib._bootstrap>"
ASK_AGAIN = 0.01
"""Seconds after which it is asked again whether an import is done."""


class Ended(SystemExit):
    """The program was asked to end by another signal than SIGINT, which raises KeyboardInterrupt.

    A SystemExit, so that who cancels a command on Ctrl-C, and goes on, does not do so on this one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


def install() -> None:
    """Have the signals raise, for the rest of the program. One that is ignored (nohup) stays so."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore() -> None:
    """From now on nothing is left to put back: nothing disturbs the end any more."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """The signals wait until the end of this block."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread is ever interrupted.
        yield
        return
    came: list[int] = []
    # What was set from C cannot be put back from here, and so is left.
    before = {number: handler for number in ENDING if (handler := signal.getsignal(number)) is not None}
    for number in before:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        # SIGINT last: from then on it may raise here.
        for number, handler in reversed(before.items()):
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def ending_within(seconds: float, restore: Callable[[], None]) -> Iterator[None]:
    """Within this block SIGTERM and SIGHUP end the program so many seconds later at the latest, whoever waits for what.

    For blocks in which a library has the last word, such as asyncio, which waits for tasks that need not end. `restore`
    is called then in place of what the block does at its end. A gdb of ours notices that this program is gone, and lets
    its guest run.
    """
    global _latest
    _latest = _Latest(seconds, restore)
    try:
        yield
    finally:
        latest, _latest = _latest, None
        latest.cancel()


class _Latest:
    def __init__(self, seconds: float, restore: Callable[[], None]) -> None:
        self._seconds, self._restore = seconds, restore
        self._timer: threading.Timer | None = None

    def begin(self, number: int) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self._end, (number,))
            self._timer.daemon = True
            self._timer.start()

    def _end(self, number: int) -> None:
        self._restore()
        os._exit(128 + number)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


_latest: _Latest | None = None


def _raise(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        signal.signal(signal.SIGALRM, lambda alarm, where: signal.raise_signal(number))
        signal.setitimer(signal.ITIMER_REAL, ASK_AGAIN)
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        if _latest is not None:
            _latest.begin(number)
        raise Ended(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORT:
            return True
        frame = frame.f_back
    return False
