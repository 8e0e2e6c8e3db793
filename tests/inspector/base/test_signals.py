"""Signals raise where the program is, but not within what is held, nor within an import."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from inspector.base import signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (*signals.ENDING, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raised(number: int) -> BaseException:
    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
        signal.raise_signal(number)
    return caught.value


def test_each_raises():
    signals.install()
    assert isinstance(raised(signal.SIGINT), KeyboardInterrupt)
    for number in (signal.SIGTERM, signal.SIGHUP):
        error = raised(number)
        assert isinstance(error, signals.Ended)
        assert error.code == 128 + number
        assert error.name == signal.Signals(number).name


def test_what_is_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.install()
    signal.raise_signal(signal.SIGHUP)


@pytest.mark.parametrize("number", signals.ENDING)
def test_what_is_held_is_done_first(number):
    signals.install()
    done = []

    def work() -> None:
        with signals.held():
            signal.raise_signal(number)
            done.append("first")
            signal.raise_signal(signal.SIGINT)
            done.append("second")

    with pytest.raises((KeyboardInterrupt, signals.Ended)):
        work()
    assert done == ["first", "second"]
    assert isinstance(raised(signal.SIGINT), KeyboardInterrupt)


def test_at_the_end_nothing_disturbs():
    signals.install()
    signals.ignore()
    for number in signals.ENDING:
        signal.raise_signal(number)


SLOW = """
import os, signal
os.kill(os.getpid(), signal.{name})
try:
    for _ in range({turns}):
        pass
except BaseException:
    raise ImportError("a library makes another exception of it")
done = True
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_import_is_finished_first(name, tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(SLOW.format(name=name, turns=100_000))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("slow_to_import", None)
    signals.install()

    def work() -> None:
        import slow_to_import  # type: ignore[import-not-found]

        assert slow_to_import.done
        time.sleep(10)

    with pytest.raises((KeyboardInterrupt, signals.Ended)):
        work()


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_program_that_is_starting_ends_with_a_line(number, status):
    """At ever later moments: while Python's own and other libraries are imported, and then in the command."""
    for after in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2):
        process = subprocess.Popen(
            [sys.executable, "-m", "inspector.frontends.entry", "sim", "watch", "--interval", "0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until_ours(process.pid)
        time.sleep(after / 4)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        # `watch` takes Ctrl-C as its end.
        assert process.returncode in (status, 0 if number == signal.SIGINT else status), said
        assert said.count("\n") <= 1, said
        assert "Traceback" not in said


def wait_until_ours(pid: int) -> None:
    """Until our first instructions have been executed: the signals are caught."""
    wanted = 1 << signal.SIGTERM - 1
    for _ in range(3000):
        with open(f"/proc/{pid}/status") as lines:
            caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
        if caught & wanted:
            return
        time.sleep(0.002)
    raise AssertionError("it never began")


STUBBORN = """
import sys, time
from inspector.base import signals
signals.install()
with signals.ending_within(float(sys.argv[1]), lambda: print("restored", flush=True)):
    told = False
    while True:
        try:
            if not told:
                told = True
                print("there", flush=True)
            time.sleep(60)
        except SystemExit:
            print("asked", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_waits_for_ever_is_ended_all_the_same(number):
    with subprocess.Popen([sys.executable, "-c", STUBBORN, "0.2"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        process.send_signal(number)
        assert process.stdout.read() == "asked\nrestored\n"
    assert process.returncode == 128 + number


def test_who_ends_in_time_ends_by_itself():
    signals.install()
    called = []
    with pytest.raises(signals.Ended), signals.ending_within(0.05, lambda: called.append(1)):
        signal.raise_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert called == []
    assert isinstance(raised(signal.SIGTERM), signals.Ended)
