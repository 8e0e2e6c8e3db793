"""Bochs' own debugger: commands through a FIFO, answers in a file that grows. It outlives whoever talks to it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from inspector.base.errors import TargetError

PROMPT = re.compile(rb"<bochs:(\d+)> \Z")
PATIENCE = 60.0
"""Seconds for an answer from a machine that stands still."""
INTERRUPT_AGAIN = 5.0


class BochsDebugger:
    """A conversation with the debugger of the Bochs with this process.

    Args:
        commands: the FIFO that is its standard input.
        answers: the file that is its standard output.
    """

    def __init__(self, pid: int, commands: Path, answers: Path) -> None:
        self.pid = pid
        try:
            self._commands = os.open(commands, os.O_WRONLY | os.O_NONBLOCK)
            self._answers = answers.open("rb")
        except OSError as error:
            raise TargetError(f"the debugger of Bochs (process {pid}) cannot be reached: {error.strerror}") from error
        self._answers.seek(max(0, os.fstat(self._answers.fileno()).st_size - 64))
        self._heard = self._answers.read()
        self.running = not PROMPT.search(self._heard)
        self._read_half = self.running and b"\n" not in self._heard.rpartition(b"> ")[2]
        self._heard = b""

    def close(self) -> None:
        """End the conversation. The machine goes on, or stands, as it does."""
        if not self._answers.closed:
            self._answers.close()
            os.close(self._commands)

    def command(self, words: str) -> str:
        """The answer to a command that does not let the machine run. Raises TargetError if there is none."""
        self._send(words)
        answer = self.wait(PATIENCE)
        if answer is None:
            raise TargetError(f"Bochs (process {self.pid}) does not answer {words.split()[0]!r} within {PATIENCE:g} s")
        return answer

    def cont(self) -> None:
        """Let the machine run on."""
        if not self.running:
            self._send("c")
            self.running = self._read_half = True

    def stop(self) -> str:
        """Stop the machine, if it runs; what it said."""
        if not self.running:
            return ""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if (answer := self._taken()) is not None:
                return answer
            self._signal()
            answer = self.wait(INTERRUPT_AGAIN)
            if answer is not None:
                return answer
        raise TargetError(f"Bochs (process {self.pid}) does not stop within {PATIENCE:g} s")

    def _taken(self) -> str | None:
        """Wait until it has echoed all of the command to run on: a signal while it reads that has it lose the rest of
        the line. If it has even answered, the answer."""
        deadline = time.monotonic() + INTERRUPT_AGAIN
        while self._read_half and time.monotonic() < deadline:
            if (answer := self.wait(0.0)) is not None:
                return answer
            time.sleep(0.001)
        return None

    def wait(self, seconds: float) -> str | None:
        """What it says until it stands still and asks for the next command; None if it does not within that time."""
        deadline = time.monotonic() + seconds
        pause = 0.0
        while True:
            more = self._answers.read()
            self._heard += more
            self._read_half = self._read_half and b"\n" not in more
            if more:
                pause = 0.0
            if PROMPT.search(self._heard):
                said, self._heard = self._heard, b""
                self.running = False
                return said.decode(errors="replace")
            if time.monotonic() > deadline:
                return None
            if not more:
                self._still_there()
                # An answer takes microseconds, a watchpoint milliseconds.
                time.sleep(pause)
                pause = min(pause + 0.0001, 0.01)

    def parameters(self, path: str) -> dict[str, int]:
        """The numbers of a part of Bochs' parameter tree, such as `cpu0.VMX`."""
        return numbers(self.command(f'show "{path}"'))

    def cpu_registers(self, cpu: int) -> dict[str, int]:
        """A CPU's registers by gdb's names: general, segment and control ones. It is in front after that."""
        self.command(f"set $cpu = {cpu}")
        return {**registers(self.command("r")), **system_registers(self.command("sreg") + self.command("creg"))}

    def physical(self, address: int) -> int:
        """Where the CPU in front has mapped a virtual address. Raises TargetError if it has not."""
        found = re.search(r"physical (?:page|address) 0x([0-9a-f_]+)", self.command(f"page {address:#x}"))
        if not found:
            raise TargetError(f"the CPU in front maps no memory at {address:#x}")
        return int(found[1].replace("_", ""), 16) & ~0xFFF | address & 0xFFF

    def store(self, physical: int, value: int, size: int) -> None:
        """Store an integer to physical memory, as its `setpmem` does: a write to the machine."""
        for start in range(0, size, 4):
            piece = min(4, size - start)
            self.command(f"setpmem {physical + start:#x} {piece} {value >> 8 * start & (1 << 8 * piece) - 1:#x}")

    def _send(self, words: str) -> None:
        try:
            os.write(self._commands, words.encode() + b"\n")
        except OSError as error:
            raise TargetError(f"Bochs (process {self.pid}) is gone: {error.strerror}") from error

    def _signal(self) -> None:
        try:
            os.kill(self.pid, signal.SIGINT)
        except OSError as error:
            raise TargetError(f"Bochs (process {self.pid}) is gone: {error.strerror}") from error

    def _still_there(self) -> None:
        with suppress(OSError):
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                return
        raise TargetError(f"Bochs (process {self.pid}) has ended")


def numbers(text: str) -> dict[str, int]:
    """The numbers that `show` prints, a parameter a line: `CR3 = 0x7c5d000`."""
    found: dict[str, int] = {}
    for name, value in re.findall(r"^\s*([\w.]+) = (0x[0-9a-f]+|\d+|true|false)\b", text, re.MULTILINE):
        found[name] = int(value == "true") if value in ("true", "false") else int(value, 0)
    return found


def registers(text: str) -> Mapping[str, int]:
    """What `r` prints: the general registers of the CPU in front, and its flags."""
    found = re.findall(r"\b(r(?:[a-d]x|[sd]i|[sb]p|ip|\d+))\s*: ([0-9a-f_]+)", text)
    found += re.findall(r"^(eflags): 0x([0-9a-f]+)", text, re.MULTILINE)
    return {name: int(value.replace("_", ""), 16) for name, value in found}


def system_registers(text: str) -> Mapping[str, int]:
    """What `sreg` and `creg` print: selectors, control registers and EFER."""
    found = re.findall(r"^([c-gs]s):(0x[0-9a-f]+)", text, re.MULTILINE)
    found += re.findall(r"^(CR[0348]|EFER)[=:] ?(0x[0-9a-f]+)", text, re.MULTILINE)
    found += re.findall(r"^(CR2)=page fault laddr=(0x[0-9a-f]+)", text, re.MULTILINE)
    return {name.lower(): int(value, 16) for name, value in found}
