"""gdb as a subprocess that speaks GDB/MI: commands in, replies matched by token, no fixed waits.

Source: gdb manual, chapter "The GDB/MI Interface".
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pygdbmi.gdbmiparser import parse_response

from inspector.base import signals
from inspector.base.errors import TargetError
from inspector.base.landlock import confinement
from structs.frozen import frozen

LONGEST_OUTPUT = 1 << 22
# What would make gdb talk to others, speak another language or load another Python.
UNWANTED_ENVIRONMENT = {"DEBUGINFOD_URLS", "PYTHONHOME", "PYTHONPATH", "LANGUAGE"}


# The stub is not to be believed: gdb takes no program, no libraries and no files from it, runs nothing for it, and
# changes nothing of the machine (breakpoints are the debugger's, outside of its memory).
DISTRUST = (
    "set remote system-call-allowed 0",
    "set sysroot",
    "set auto-solib-add off",
    "set exec-file-mismatch off",
    "set debuginfod enabled off",
    "set remote exec-file",
    "set may-write-memory off",
    "set may-write-registers off",
    "set may-call-functions off",
    "set may-insert-tracepoints off",
    *(
        f"set remote {packet}-packet off"
        for packet in (
            *("pid-to-exec-file", "library-info", "library-info-svr4", "program-signals", "pass-signals"),
            *("hostio-open", "hostio-pread", "hostio-pwrite", "hostio-close", "hostio-unlink", "hostio-readlink"),
            *("hostio-setfs", "hostio-fstat", "read-aux-vector", "trace-status", "traceframe-info", "run"),
            *("static-tracepoints", "read-sdata-object", "install-in-trace", "symbol-lookup"),
        )
    ),
)


@frozen
class Reply:
    """One command's result record.

    `message` is `done`, `connected`, `running` or `error`; `output` is what the command printed.
    """

    message: str
    payload: Mapping[str, Any]
    output: str

    @property
    def error(self) -> str | None:
        """gdb's words if it refused."""
        return str(self.payload.get("msg", "no reason given")) if self.message == "error" else None


class GdbRefused(TargetError):
    """gdb answered a command with an error."""


class GdbSilent(TargetError):
    """gdb has said nothing for too long."""


class Gdb:
    """A gdb process, with no program and no target yet.

    `memory_file` names a file in memory that gdb and this process share, for `dump binary memory` and its like: nothing
    of it can be left behind. `running` and `lost` follow what gdb reports of the target: it was set going, it is gone.
    `confined`: whether the kernel keeps gdb from files, whatever a stub asks of it.
    `ended` says how gdb ended by itself.
    `stopped` is what gdb said when the target last stopped: the reason, thread and place.
    `unfinished`: gdb's answers were not awaited, for an interrupt or its silence; what it is asked next has to wait.
    """

    def __init__(self, program: str = "gdb", timeout: float = 10.0) -> None:
        """Start gdb. `timeout` is how long, in seconds, it may stay silent over one command.

        Raises:
            TargetError: there is no such program, or it does not speak MI.
        """
        found = shutil.which(program)
        if not found:
            raise TargetError(f"{program} is not installed: install the package gdb (or gdb-multiarch)")
        self.program = program
        self.timeout = timeout
        self.running = False
        self.lost = False
        self.ended: str | None = None
        self.stopped: Mapping[str, Any] = {}
        self.unfinished = False
        self._token = 0
        self._unparsed: list[bytes] = []
        self._output: list[str] = []
        self._last_words = ""
        self.memory = os.memfd_create("vtdpi-gdb")
        self.memory_file = f"/proc/self/fd/{self.memory}"
        started: subprocess.Popen[bytes] | None = None
        try:
            # Python runs code of others around a fork, and drops what is raised there: Ctrl-C waits.
            with signals.held(), confinement(found) as confine:
                self.confined = confine is not None
                started = self._process = subprocess.Popen(
                    # Of its own session: Ctrl-C in the terminal is for us alone.
                    [found, "-q", "-nx", "-iex", "set auto-load off", "-i=mi3"],
                    preexec_fn=confine,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    bufsize=0,
                    pass_fds=[self.memory],
                    start_new_session=True,
                    env={k: v for k, v in os.environ.items() if k not in UNWANTED_ENVIRONMENT} | {"LC_ALL": "C"},
                )
        except subprocess.SubprocessError as error:
            os.close(self.memory)
            raise TargetError(f"{found} cannot be run, confined by Landlock: {error}") from error
        except OSError as error:
            os.close(self.memory)
            raise TargetError(f"{found} cannot be run: {error.strerror}") from error
        except (KeyboardInterrupt, SystemExit):
            os.close(self.memory)
            if started is not None:
                started.kill()
                started.wait()
            raise
        assert self._process.stdin
        assert self._process.stdout
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        try:
            self.ask_all(["set confirm off", "set pagination off", "set width 0", "set height 0"])
            # What an older gdb does not know it does not do either.
            self.try_all(DISTRUST)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """gdb's process id."""
        return self._process.pid

    def ask(self, command: str, timeout: float | None = None) -> Reply:
        """One command's reply.

        Raises:
            GdbRefused: gdb says why.
            TargetError: gdb ended, or is silent.
        """
        return self.ask_all([command], timeout)[0]

    def ask_all(self, commands: Sequence[str], timeout: float | None = None) -> list[Reply]:
        """As `try_all`, but raises GdbRefused for the first that fails."""
        replies = self.try_all(commands, timeout)
        for command, reply in zip(commands, replies, strict=True):
            if reply.error:
                raise GdbRefused(f"gdb refuses {command!r}: {reply.error}")
        return replies

    def try_all(self, commands: Sequence[str], timeout: float | None = None) -> list[Reply]:
        """The replies to commands, MI or CLI, that are sent in one go; gdb works them off in order.

        Raises:
            TargetError: gdb ended, or is silent for `timeout` seconds.
        """
        first = self._token + 1
        self._token += len(commands)
        text = "".join(f"{token}{command}\n" for token, command in enumerate(commands, first))
        replies: list[Reply] = []
        # An exchange that an exception cut short may have left half a command in the pipe: end that line first.
        send = memoryview((("\n" if self.unfinished else "") + text).encode())
        self.unfinished = True
        for record in self._records(send, timeout, lambda: len(replies) == len(commands)):
            if record["type"] in ("console", "target"):
                self._output.append(record["payload"] or "")
            elif record["type"] == "result":
                # Older tokens answer commands whose asker was interrupted.
                if record["token"] == first + len(replies):
                    replies.append(Reply(record["message"], record["payload"] or {}, "".join(self._output)))
                self._output.clear()
        self.unfinished = False
        return replies

    def wait_until_stopped(self, timeout: float | None = None) -> None:
        """Wait for gdb to report that the target stopped.

        Raises:
            GdbSilent: it has not, `timeout` seconds after gdb's last word.
            TargetError: gdb ended.
        """
        for _ in self._records(memoryview(b""), timeout, lambda: not self.running):
            pass

    def close(self) -> None:
        """End gdb, at once. What it is attached to sees its connection close. Safe to call twice."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                with suppress(OSError):
                    pipe.close()
        if self.memory >= 0:
            os.close(self.memory)
            self.memory = -1

    def _records(self, send: memoryview, timeout: float | None, enough: Callable[[], bool]) -> Any:
        """Send, and give gdb's records as they come, until there are enough."""
        silence = self.timeout if timeout is None else timeout
        if self._process.returncode is not None or self.memory < 0:
            raise TargetError(f"{self.program} has ended")
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        if send:
            poll.register(self._in, select.POLLOUT)
        deadline = time.monotonic() + silence
        size = 0
        while not enough():
            ready = poll.poll(max(deadline - time.monotonic(), 0) * 1000)
            if not ready:
                raise GdbSilent(
                    f"{self.program} is silent for {silence:g} seconds: it, or what it is attached to, hangs"
                )
            for fd, _ in ready:
                if fd == self._in:
                    with suppress(BlockingIOError, BrokenPipeError):
                        send = send[os.write(self._in, send[: 1 << 16]) :]
                    if not send:
                        poll.unregister(self._in)
                    continue
                data = os.read(self._out, 1 << 20)
                if not data:
                    self.ended = f"{self.program} ended ({self._how_it_ended()})"
                    raise TargetError(self.ended)
                deadline = time.monotonic() + silence
                # Only whole lines: pygdbmi never returns from half a list.
                head, newline, rest = data.rpartition(b"\n")
                size += len(data)
                if size > LONGEST_OUTPUT:
                    raise TargetError(f"{self.program} prints more than {LONGEST_OUTPUT} bytes for one command")
                if newline:
                    lines = b"".join((*self._unparsed, head)).split(b"\n")
                    self._unparsed = [rest]
                    for line in lines:
                        if record := self._record(line):
                            size *= record["type"] != "result"
                            yield record
                else:
                    self._unparsed.append(rest)

    def _record(self, line: bytes) -> dict[str, Any] | None:
        """One line as pygdbmi's dictionary; None for what says nothing (an echoed command, the prompt, or no MI)."""
        record = parsed(line)
        if record is None:
            text = line.decode("utf-8", "backslashreplace").rstrip("\r")
            if text and not text.startswith(("&", "(gdb)")):
                self._last_words = text[:200]
            return None
        if record["type"] == "result":
            # The notification of the same comes later, perhaps too late for a stop that follows at once.
            self.running |= record["message"] == "running"
        elif record["type"] == "notify":
            self.running = {"running": True, "stopped": False}.get(record["message"], self.running)
            self.lost |= record["message"] == "thread-group-exited"
            if record["message"] == "stopped":
                self.stopped = record["payload"] or {}
        return record

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        return f"{how}: {self._last_words}" if self._last_words else how


STREAMS = ("~", "@")
RECORDS = ("^", "*", "=", *"0123456789")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
NAME = r"[A-Za-z_][\w.-]*"
VALUE = "\0"
"""Stands for a value that was read."""
TUPLE = re.compile(rf"\{{(?:{NAME}={VALUE}(?:,{NAME}={VALUE})*)?\}}", re.ASCII)
LIST = re.compile(rf"\[(?:(?:{NAME}=)?{VALUE}(?:,(?:{NAME}=)?{VALUE})*)?\]", re.ASCII)
RECORD = re.compile(rf"\d{{0,18}}[*=^][\w-]+(?:,{NAME}={VALUE})*", re.ASCII)
NESTED = 64


def parsed(line: bytes) -> dict[str, Any] | None:
    """One line of MI as pygdbmi's dictionary; None for one that says nothing.

    Raises:
        TargetError: it is none that gdb would say.
    """
    text = line.decode("utf-8", "backslashreplace").rstrip("\r")
    if not text.startswith((*STREAMS, *RECORDS)):
        return None
    try:
        if text.startswith(STREAMS):
            # pygdbmi takes quadratic time for what follows the last escape of such a string: let one end it.
            record: dict[str, Any] = parse_response(text.removesuffix('"') + '\\n"')
            record["payload"] = record["payload"][:-1]
            return record
        if _is_record(text):
            return dict(parse_response(text))
    except Exception as error:
        # pygdbmi meets what gdb would not say with whatever it trips over.
        raise TargetError(f"gdb says what is no MI ({type(error).__name__}): {text[:60]!r}") from None
    raise TargetError(f"gdb says what is no MI, or not all of it: {text[:60]!r}")


def _is_record(text: str) -> bool:
    """Whether a line is as MI's grammar has it: pygdbmi guesses otherwise, and may never return.

    Strings become VALUE, then the innermost tuples and lists, until none is left.
    """
    if VALUE in text:
        return False
    rest = STRING.sub(VALUE, text)
    for _ in range(NESTED):
        before = rest
        rest = LIST.sub(VALUE, TUPLE.sub(VALUE, rest))
        if rest == before:
            break
    return RECORD.fullmatch(rest) is not None
