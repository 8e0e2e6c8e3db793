"""Whoever ends the full screen or the prompt finds the terminal as it was, on the main screen, with its cursor."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time

import pytest

WATCH = ("sim", "watch", "--interval", "0.1")
MAIN_SCREEN, OTHER_SCREEN, CURSOR = b"\x1b[?1049l", b"\x1b[?1049h", b"\x1b[?25h"
SHOWN = {WATCH: b"LISTS OF BLOCKED", ("sim",): b"help"}


class Watched:
    """A program on a terminal of its own, and all that it has printed."""

    def __init__(self, words, directory) -> None:
        self.outer, self.inner = pty.openpty()
        termios.tcsetwinsize(self.inner, (30, 110))
        self.before = termios.tcgetattr(self.inner)
        self.printed = b""
        environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(directory)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inspector.frontends.entry", *words],
            stdin=self.inner,
            stdout=self.inner,
            stderr=self.inner,
            start_new_session=True,
            env=environment,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        while data := os.read(self.outer, 4096):
            self.printed += data
            if b"\x1b[6n" in data:
                os.write(self.outer, b"\x1b[1;1R")

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + 30
        while text not in self.printed:
            assert time.monotonic() < deadline, self.printed[-2000:]
            assert self.process.poll() is None, self.printed[-2000:]
            time.sleep(0.01)


@pytest.mark.thorough
@pytest.mark.parametrize("words", [WATCH, ("sim",)], ids=["watch", "prompt"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_the_terminal_is_left_as_found(words, number, tmp_path):
    here = Watched(words, tmp_path)
    here.wait_for(SHOWN[words])
    time.sleep(0.3)
    here.process.send_signal(number)
    if words != WATCH and number == signal.SIGINT:
        # At the prompt it cancels the line.
        time.sleep(0.3)
        assert here.process.poll() is None
        here.process.send_signal(signal.SIGTERM)
        number = signal.SIGTERM
    status = here.process.wait(30)
    assert termios.tcgetattr(here.inner) == here.before
    time.sleep(0.1)
    assert status == (0 if number == signal.SIGINT else 128 + number), here.printed[-2000:]
    assert b"Traceback" not in here.printed
    if words == WATCH:
        assert here.printed.rindex(MAIN_SCREEN) > here.printed.rindex(OTHER_SCREEN)
    assert CURSOR in here.printed[-300:], here.printed[-300:]
    if number != signal.SIGINT:
        assert b"ended by " + number.name.encode() in here.printed
