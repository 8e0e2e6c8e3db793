"""A live machine, read from within the gdb that is attached to it. Only gdb itself can import this module.

Physical memory is read in QEMU's physical-memory mode, which the stub keeps for all of gdb. So whoever asks calls
`put_back` afterwards, before gdb goes on: its own commands must find the mode as it was. Registers are read in the mode
as found, because gdb unwinds frames while one asks for them. Nothing is written, and nothing is set going.

Source: QEMU docs/system/gdb.rst ("Examining physical memory"); gdb manual, "Python API".
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import gdb  # type: ignore[import-untyped]

from inspector.base.errors import TargetError
from inspector.targets.live.qemu_stub import LINE, REGISTERS, QemuStub
from inspector.targets.target import Cpu


class GdbInferior(QemuStub):
    """The machine behind gdb's selected inferior: `target remote` to QEMU's stub, or to any that has its physical mode.

    Args:
        connection: gdb's connection to it, a gdb.RemoteTargetConnection.

    Raises:
        TargetError: the stub has no physical-memory mode.
    """

    scannable = False

    def __init__(self, connection: Any) -> None:
        self.place = str(connection.details)
        self.description = f"QEMU at {self.place}"
        self._connection = connection
        self._inferior = gdb.selected_inferior()
        self._found: bytes | None = None
        self._lines: dict[int, bytes] = {}
        gdb.events.cont.connect(self._continued)
        try:
            self._mode()
        except BaseException:
            self.close()
            raise

    def read(self, address: int, size: int) -> bytes:
        """As Target.read. A device's registers: ask 4 or 8 aligned bytes a register."""
        if problem := self.unreadable(address, size):
            raise problem
        lines = self.lines(address, size)
        if lines is None:
            return self._read(address, size)
        start, whole = lines
        for line in range(start, start + whole, LINE):
            if line not in self._lines:
                self._lines[line] = self._read(line, LINE)
        return b"".join(self._lines[line] for line in range(start, start + whole, LINE))[address - start :][:size]

    def cpus(self) -> Sequence[Cpu]:
        """Every CPU's registers: gdb's threads. The selected thread and frame stay selected."""
        self.put_back()
        self.check_stopped()
        thread = gdb.selected_thread()
        level = _level()
        cpus = []
        try:
            for index, cpu in enumerate(sorted(self._inferior.threads(), key=lambda known: known.num)):
                cpu.switch()
                cpus.append(Cpu(index, {**_registers(gdb.newest_frame()), **self.lapic(index)}))
        finally:
            # The machine may have gone in between, and with it its threads.
            with suppress(RuntimeError, gdb.error):
                if thread is not None:
                    thread.switch()
                    _select(level)
        return cpus

    def check_stopped(self) -> None:
        """Raise TargetError if the machine runs, or gdb is attached to it no longer."""
        if not self._connection.is_valid() or not self._inferior.is_valid():
            raise TargetError(f"{self.description} is gone: gdb is no longer attached to it")
        # Not all of them: while the machine runs, a remote target refuses to list its threads.
        thread = gdb.selected_thread()
        if thread is not None and thread.is_valid() and thread.is_running():
            raise TargetError(f"{self.description} is running: interrupt it to read it")

    def refresh(self) -> None:
        """Forget what was read: the machine may have changed in ways that gdb does not tell, such as by `monitor`."""
        self.generation += 1
        self._lines.clear()
        self.forget_view()

    def put_back(self) -> None:
        """Leave the stub's physical-memory mode as it was found. Ctrl-C waits until that is done.

        Raises:
            TargetError: the stub refuses.
        """
        try:
            self._put_back()
        except KeyboardInterrupt:
            # It came before Ctrl-C was made to wait.
            self._put_back()
            raise

    def close(self) -> None:
        """As `put_back`, and listen to gdb no longer."""
        self.put_back()
        with suppress(ValueError):
            gdb.events.cont.disconnect(self._continued)

    def _put_back(self) -> None:
        with uninterrupted():
            if self._found is not None and self._connection.is_valid():
                self._set_mode(self._found)
            self._found = None

    def _continued(self, event: Any) -> None:
        self.refresh()

    def _ready(self) -> None:
        """Make sure that the machine can be read, by physical addresses."""
        if self._found is None:
            self.check_stopped()
            found = self._mode()
            # Before it is set: should Ctrl-C come now, then there is something to put back.
            self._found = found
            self._set_mode(b"1")

    def _mode(self) -> bytes:
        answer = self._ask("qqemu.PhyMemMode")
        if answer not in (b"0", b"1"):
            raise TargetError(
                f"the gdb stub at {self.place} has no physical-memory mode: expected QEMU's, 4.1 or newer"
            )
        return answer

    def _set_mode(self, mode: bytes) -> None:
        packet = f"Qqemu.PhyMemMode:{mode.decode()}"
        if self._ask(packet) != b"OK":
            raise TargetError(f"the gdb stub at {self.place} does not do {packet}")

    def _ask(self, packet: str) -> bytes:
        try:
            answer: bytes | None = self._connection.send_packet(packet)
        except gdb.error as error:
            raise TargetError(f"{self.description}: {error}") from None
        return answer or b""

    def _read(self, address: int, size: int) -> bytes:
        if not size:
            return b""
        self._ready()
        try:
            return bytes(self._inferior.read_memory(address, size))
        except gdb.error as error:
            raise self.refusal(address, size, str(error)) from None

    def monitor(self, command: str) -> str | None:
        """As QemuStub.monitor."""
        self.check_stopped()
        try:
            return str(gdb.execute(f"monitor {command}", to_string=True))
        except gdb.error:
            return None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the end of this block. Threads that are started in it never take a Ctrl-C away from gdb."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _registers(frame: Any) -> dict[str, int]:
    registers = {}
    for name in REGISTERS:
        # A stub need not have it (ValueError), and a core or a stub need not know it (gdb.error).
        with suppress(ValueError, gdb.error):
            value = frame.read_register(name)
            registers[name] = int(value) & (1 << 8 * value.type.sizeof) - 1
    return registers


def _level() -> int:
    try:
        return int(gdb.selected_frame().level())
    except gdb.error:
        return 0


def _select(level: int) -> None:
    with suppress(gdb.error):
        frame = gdb.newest_frame()
        for _ in range(level):
            frame = frame.older()
        frame.select()
