"""Xen's serial console: a file of all that it printed, and a pipe (a FIFO) that it takes keys from.

QEMU writes the file itself, and waits where it cannot: with a socket whose reader is slow, its `logfile=` holds letters
twice.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from inspector.lab import LabError

SWITCH = b"\x01\x01\x01"
"""Ctrl-A three times moves the console's input on, from dom0 to Xen and back (Xen's switch_serial_input)."""
SWITCHED = re.compile(rb"\*\*\* Serial input to (\S+).*\n")

# Xen runs its key handlers one after the other (handle_keypress, one tasklet): the first line of the answer to `h` is
# the end of the answer before it.
HELP = b"h"
HELP_STARTS = re.compile(rb"[^\n]*'h' pressed -> showing installed handlers")
HELP_ENDS = re.compile(rb" key 'z' \(ascii '7a'\)[^\n]*\n")

KEYS, OUTPUT = ".in", ".out"
"""What QEMU's `-chardev pipe` adds to a path for the two ways."""
LOOKS = 0.005
"""Seconds between two looks at the file."""

STARTS_WITHIN = 1.0
"""Seconds after which a key that has printed nothing is taken for one that prints nothing."""


def last_lines(console: Path, count: int = 5) -> str:
    """The end of what was printed, for messages, in one line."""
    try:
        lines = console.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return " | ".join([line.strip() for line in lines if line.strip()][-count:]) or "nothing"


def create(console: Path) -> Path:
    """Make the file and the pipe of a console that is to be, for QEMU's `-chardev pipe`; the pipe."""
    console.touch()
    console.with_name(console.name + OUTPUT).symlink_to(console.name)
    keys = keys_of(console)
    os.mkfifo(keys, 0o600)
    return keys


def keys_of(console: Path) -> Path:
    """The pipe that a console takes keys from."""
    return console.with_name(console.name + KEYS)


def ask(console: Path, key: str, timeout: float = 10.0) -> str:
    """What Xen prints for a debug key: whole lines as they stand on the console, those of dom0 left out.

    Args:
        console: the file of what it printed.
        key: one character, such as `V`.
        timeout: seconds for the whole conversation.

    Raises:
        LabError: the key is not one printable character, or Xen does not answer in time.
    """
    if len(key) != 1 or not "!" <= key <= "~":
        raise LabError(f"a debug key is one printable ASCII character, not {key!r}")
    with _Conversation(console, timeout) as talk:
        found_in_xen = talk.switch() != b"Xen"
        while found_in_xen and talk.switch() != b"Xen":
            pass
        text = talk.press(key.encode())
        if not found_in_xen:
            talk.switch()
    return own_lines(text)


def press(console: Path, key: str, timeout: float = 10.0) -> None:
    """Press a debug key that Xen does not answer, such as `C`. Raises LabError if the console does not take it."""
    with _Conversation(console, timeout) as talk:
        while talk.switch() != b"Xen":
            pass
        talk.send(key.encode())


def own_lines(text: bytes) -> str:
    """The lines that Xen itself printed on a console shared with dom0, without its notes on who gets the input.

    Xen's lines start with `(XEN) `, which may come after an unfinished line of dom0's.
    """
    lines = (line[line.find(b"(XEN) ") :] for line in text.replace(b"\r", b"").split(b"\n") if b"(XEN) " in line)
    return "".join(line.decode(errors="replace") + "\n" for line in lines if b"*** Serial input to" not in line)


class _Conversation:
    """Keys typed, and what was printed since. One at a time: others wait for their turn."""

    def __init__(self, console: Path, timeout: float) -> None:
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._heard = b""
        keys = keys_of(console)
        with ExitStack() as opened:
            try:
                self._output = opened.enter_context(console.open("rb"))
                self._keys = os.open(keys, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                # A pipe that nobody reads is no such device (ENXIO).
                why = "QEMU is gone" if error.errno == errno.ENXIO else error.strerror
                raise LabError(f"the console's {keys} cannot be opened: {why}") from error
            opened.callback(os.close, self._keys)
            self._wait_for_turn()
            self._output.seek(0, os.SEEK_END)
            self._opened = opened.pop_all()

    def _wait_for_turn(self) -> None:
        while True:
            try:
                return fcntl.flock(self._output, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > self._deadline:
                    raise LabError(f"somebody else has talked to Xen's console for {self._timeout:g} s") from None
                time.sleep(LOOKS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._opened.close()

    def switch(self) -> bytes:
        """Move the input on; who gets it now, `Xen` or `DOM0`."""
        self.send(SWITCH)
        found = self._listen_for(SWITCHED)
        self._heard = self._heard[found.end() :]
        return found[1]

    def press(self, key: bytes) -> bytes:
        """Everything printed for a key, while Xen gets the input."""
        self.send(key)
        if key == HELP:
            end = self._listen_for(HELP_ENDS).end()
            return self._heard[:end]
        # A key that comes before the handler of the last one has started takes its place.
        self._listen(until=time.monotonic() + STARTS_WITHIN)
        self.send(HELP)
        end = self._listen_for(HELP_STARTS).start()
        self._listen_for(HELP_ENDS)
        return self._heard[:end]

    def send(self, keys: bytes) -> None:
        """Type keys."""
        try:
            os.write(self._keys, keys)
        except BlockingIOError:
            raise LabError("Xen takes no more keys: its console does not read them") from None
        except OSError as error:
            raise LabError(f"the console was closed ({error.strerror}): QEMU is gone") from error

    def _listen_for(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        while not (found := pattern.search(self._heard)):
            if not self._listen(until=self._deadline):
                raise LabError(f"Xen does not answer on its console within {self._timeout:g} s")
        return found

    def _listen(self, until: float) -> bool:
        """Hear a little more; False if nothing came until then."""
        until = min(until, self._deadline)
        gone = select.poll()
        gone.register(self._keys, 0)
        while not (more := self._output.read()):
            if time.monotonic() > until:
                return False
            if gone.poll(LOOKS * 1000):
                raise LabError("the console was closed: QEMU is gone")
        self._heard += more
        return True
