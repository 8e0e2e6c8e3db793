"""QEMU's machine protocol (QMP) over a unix socket: one command, one answer, never a hang.

QEMU serves one QMP client at a time; a second one connects and waits without a greeting.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspector.base.closing import Closing
from inspector.base.errors import TargetError
from inspector.base.foreign_text import one_line
from inspector.targets.live.answers import Greeting, Status, decoded

LONGEST_LINE = 1 << 24


class Qmp(Closing):
    """A connection to QEMU's QMP socket. Use as a context manager.

    `version` is QEMU's own, (major, minor, micro).
    """

    def __init__(self, path: str | Path, timeout: float = 5.0) -> None:
        """Connect and negotiate. `timeout`, in seconds, is also the default for each command.

        Raises:
            TargetError: nobody, or something else, listens there, or QEMU serves another client.
        """
        self.path = str(path)
        self.timeout = timeout
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            try:
                self._socket.connect(self.path)
            except (OSError, ValueError) as error:
                raise TargetError(f"QMP socket {self.path}: {getattr(error, 'strerror', None) or error}") from error
            greeting = self._greeting(time.monotonic() + timeout)
            try:
                found = decoded(Greeting, greeting, self.path).qmp.version.qemu
            except TargetError as error:
                raise TargetError(f"{self.path} is no QMP socket: its greeting is not QEMU's") from error
            self.version = (found.major, found.minor, found.micro)
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def execute(self, command: str, arguments: Mapping[str, Any] | None = None, timeout: float | None = None) -> Any:
        """What QEMU returns for a command.

        Raises:
            TargetError: QEMU refuses it, does not answer in time, or is gone.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        request = json.dumps({"execute": command, "arguments": dict(arguments or {})}).encode()
        try:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            self._socket.sendall(request + b"\n")
        except OSError as error:
            raise TargetError(f"QMP socket {self.path} was closed before {command}: is QEMU gone?") from error
        while True:
            message = self._message(deadline, f"no answer to {command}")
            if "return" in message:
                return message["return"]
            if "error" in message:
                why = message["error"]
                said = why.get("desc", why) if isinstance(why, dict) else why
                raise TargetError(f"QEMU refuses {command}: {one_line(str(said)[:500])}")

    def status(self) -> Status:
        """Whether the machine runs, and why not. Raises TargetError."""
        return decoded(Status, self.execute("query-status"), f"QMP socket {self.path}")

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._socket.close()

    def _greeting(self, deadline: float) -> dict[str, Any]:
        """The first message that is no event: QEMU may send one to whoever connects just then."""
        silence = "it says nothing; QEMU serves one QMP client at a time, is another connected?"
        while "event" in (message := self._message(deadline, silence)):
            pass
        return message

    def _message(self, deadline: float, silence: str) -> dict[str, Any]:
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TargetError(f"QMP socket {self.path}: {silence}")
            self._socket.settimeout(left)
            try:
                more = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError as error:
                raise TargetError(f"QMP socket {self.path}: {error.strerror}") from error
            if not more:
                raise TargetError(f"QMP socket {self.path} was closed: is QEMU gone?")
            self._rest += more
            if len(self._rest) > LONGEST_LINE:
                raise TargetError(f"{self.path} is no QMP socket: a line of over {LONGEST_LINE} bytes")
        line, self._rest = self._rest.split(b"\n", 1)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TargetError(f"{self.path} is no QMP socket: {line[:40]!r} is not JSON") from error
        if not isinstance(message, dict):
            raise TargetError(f"{self.path} is no QMP socket: {line[:40]!r} is not a JSON object")
        return message
