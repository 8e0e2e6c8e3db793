"""A live machine, read through QEMU's gdb stub by a real gdb that speaks GDB/MI.

Attaching stops the machine; closing leaves it, and the stub's physical-memory mode, as they were found. Nothing is
written.

Memory is read with gdb's `append binary memory` into a file that exists in memory only: one mechanism, no slower than
gdb itself, for 64 bytes as for a mebibyte. Registers of devices are read in the pieces that are asked for: a read
shorter than 4 bytes or not aligned gives zeros from QEMU, without an error.

If this process is killed outright, gdb sees its input end and puts mode and run state back itself (a gdb with Python,
version 12 on; an older one resumes the machine and leaves the physical-memory mode on).

Source: QEMU docs/system/gdb.rst ("Examining physical memory"), gdbstub; gdb manual.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from inspector.base import signals
from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live import rsp
from inspector.targets.live.answers import (
    BreakpointMade,
    RegisterNames,
    RegisterValues,
    Stopped,
    Threads,
    decoded,
)
from inspector.targets.live.mi import Gdb, GdbRefused, GdbSilent, Reply
from inspector.targets.live.qemu_stub import REGISTERS, QemuStub
from inspector.targets.live.qmp import Qmp
from inspector.targets.target import Cpu
from inspector.targets.watchpoint import StopEvent, Write

PIECE = 1 << 20
LARGEST_CACHE = 1 << 26
GAP = 1 << 16
"""Bytes that are read for nothing rather than that another command is sent."""
LARGEST_SPAN = 1 << 22
RESTORE_SECONDS = 5.0
HEX = re.compile("0x[0-9a-f]{1,16}")
"""The value of a register of up to 64 bits."""

# Runs inside gdb when it ends for whatever reason but SIGKILL. Until gdb itself is attached, it is this process whose
# connection has stopped the machine: then gdb connects once more, to let it run.
AT_EXIT = r"""
import gdb
class vtdpi:
    physical, resume, host, port, packet = False, {resume!r}, {host!r}, {port}, {packet!r}
def restore(event):
    if gdb.selected_inferior().connection is not None:
        mode = "maintenance packet Qqemu.PhyMemMode:" + str(int(vtdpi.physical))
        for command in mode, "detach" if vtdpi.resume else "disconnect":
            try:
                gdb.execute(command, to_string=True)
            except gdb.error:
                pass
    elif vtdpi.resume:
        import socket
        if vtdpi.port:
            stub = socket.create_connection((vtdpi.host, vtdpi.port), 5)
        else:
            stub = socket.socket(socket.AF_UNIX)
            stub.settimeout(5)
            stub.connect(vtdpi.host)
        stub.sendall(vtdpi.packet)
        stub.recv(100)
gdb.events.gdb_exiting.connect(restore)
"""


UNCONFINED = (
    "this kernel cannot keep gdb from your files (no Landlock, which Linux has from 5.13 on), and a stub may ask gdb "
    "to read and write them: attach only to a stub that you trust"
)
AFTERWARDS = "it runs from here on, as after any gdb session; name its QMP socket with --qmp to leave it as found"


class GdbMi(QemuStub):
    """A machine behind QEMU's gdb stub, through a gdb of our own.

    `found_running` tells whether the machine was running when we came. None: it cannot be known, for a QEMU from 8.1 on
    stops the machine before it tells anything; then it runs afterwards, as after a session of gdb. QMP knows better.
    """

    def __init__(
        self,
        address: str,
        *,
        qmp: str | None = None,
        resume: bool | None = None,
        gdb: str = "gdb",
        timeout: float = 10.0,
    ) -> None:
        """Attach: the machine stops until `close`.

        Args:
            address: HOST:PORT, or the path of a unix socket.
            qmp: the path of QEMU's QMP socket, if known: it tells the run state, and reads much memory faster.
            resume: whether the machine runs after `close`; None: as found.
            gdb: the gdb to run.
            timeout: seconds of silence after which gdb, or the stub, is given up.

        Raises:
            TargetError: gdb is missing; nobody, or something else, listens; the stub has no physical-memory mode.
        """
        self.address = rsp.Address.parse(address)
        self.place = str(self.address)
        self.description = f"QEMU at {self.place}"
        self.found_running: bool | None = None
        # Through gdb alone a scan takes a minute a gigabyte.
        self.scannable = qmp is not None
        self._resume = resume
        self._found: rsp.Found | None = None
        self._attached = False
        self._closed = False
        self._physical: bool | None = None
        self._qmp: Qmp | None = None
        self._bulk = -1
        self._armed: list[str] = []
        self._started = 0.0
        self._cache: dict[tuple[int, int], bytes] = {}
        self._cached = 0
        self._register_names: list[str] | None = None
        self._gdb = Gdb(gdb, timeout)
        if not self._gdb.confined:
            self.warnings = [UNCONFINED]
        try:
            self._attach(qmp)
        except BaseException:
            self.close()
            raise

    def _attach(self, qmp: str | None) -> None:
        self._gdb.ask_all(["set architecture i386:x86-64", "set mi-async on", "set tcp auto-retry off"])
        running: bool | None = None
        if qmp:
            self._qmp = Qmp(qmp)
            running = self._qmp.status().running
        # From the first connection on there is something to put back: by gdb if this process is killed, and until it is
        # known what, signals have to wait.
        with signals.held():
            resume = running is not False if self._resume is None else self._resume
            self._tell_gdb_what_to_restore(resume)
            self._found = rsp.probe(self.address, resume=resume)
            self.found_running = self._found.running if running is None else running
            if self._resume is None:
                self._resume = self.found_running is not False
                if self.found_running is None:
                    self.warnings = [
                        *self.warnings,
                        f"{self.description} does not tell gdb whether it was running; {AFTERWARDS}",
                    ]
        self._attached = True
        told = f"python vtdpi.physical, vtdpi.resume = {self._found.physical}, {self._resume}"
        attached = self._gdb.try_all([told, f"-target-select remote {self.address}"])[1]
        if attached.error:
            raise TargetError(f"gdb cannot attach to {self.address}: {attached.error}")
        self._ready()

    def _tell_gdb_what_to_restore(self, resume: bool) -> None:
        """Have gdb put things back if it is to end before we have."""
        place = {"host": self.address.host, "port": self.address.port, "packet": rsp.framed(rsp.DETACH)}
        # A gdb without Python, or too old for this event, refuses: then close alone puts things back.
        self._gdb.try_all([f"python exec({AT_EXIT.format(resume=resume, **place)!r})"])

    def read(self, address: int, size: int) -> bytes:
        """As Target.read. A device's registers: ask 4 or 8 aligned bytes a register."""
        part = self._parts([(address, size)])[0]
        if isinstance(part, NotReadable):
            raise part
        return part

    def read_parts(self, wanted: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """As Target.read_parts; gdb gets all of it in one go."""
        return [None if isinstance(part, NotReadable) else part for part in self._parts(wanted)]

    def read_ahead(self, blocks: Sequence[tuple[int, int]]) -> None:
        """As Target.read_ahead, through QMP. What that does not give is read when it is asked for."""
        self._ready()
        for (start, whole), within in _spans(sorted(blocks)):
            if data := self._saved(start, whole):
                for address, size in within:
                    self._keep((address, size), data[address - start :][:size])

    def cpus(self) -> Sequence[Cpu]:
        """Every CPU's registers, as of now."""
        self._ready()
        told = decoded(Threads, self._ask("-thread-info")[0].payload, "gdb")
        threads = [int(thread.id) for thread in told.threads]
        known = enumerate(self._registers(sorted(threads), REGISTERS))
        return [Cpu(index, {**registers, **self.lapic(index)}) for index, registers in known]

    @property
    def lost(self) -> str | None:
        """As Target.lost: gdb ended, or the machine."""
        return self._gdb.ended or (f"{self.description} is gone: it closed the connection" if self._gdb.lost else None)

    @property
    def running(self) -> bool:
        """Whether the machine runs now."""
        return self._gdb.running

    def stop(self) -> None:
        """Stop the machine, if it runs."""
        if self._gdb.running:
            self.generation += 1
            self._ask("-exec-interrupt")
            self._gdb.wait_until_stopped()

    def cont(self) -> None:
        """Let the machine run until `stop`; what has been read is forgotten."""
        if not self._gdb.running:
            self.generation += 1
            self._cache.clear()
            self._cached = 0
            self.forget_view()
            # While it runs, the death of this process or of gdb must not find the mode changed.
            self._set_physical(self._found is not None and self._found.physical)
            self._ask("-exec-continue")

    unit = "s"

    def arm(self, writes: Sequence[Write], hooks: Mapping[str, int]) -> None:
        """As Tripwire.arm: hardware watchpoints and breakpoints, which the stub keeps outside of the machine's memory.

        Raises:
            TargetError: gdb would have to watch by single steps, or the stub has no more of them.
        """
        self._armed = []
        self._started = time.monotonic()
        # gdb reads what it watches, now and at each stop, by virtual addresses.
        self._set_physical(False)
        for write in writes:
            said = self._ask(f"watch *(char (*)[{write.size}]) {write.virtual:#x}")[0].output
            made = re.search(r"(Hardware w|W)atchpoint (\d+)", said)
            self._armed.append(made[2] if made else "")
            if not made or made[1] == "W":
                raise TargetError(
                    f"{self.description} has no hardware watchpoint for {write.size} bytes: gdb would step"
                )
        for address in hooks.values():
            made_there = self._ask(f"-break-insert -h *{address:#x}")[0].payload
            self._armed.append(decoded(BreakpointMade, made_there, "gdb").bkpt.number)

    def stop_event(self, seconds: float) -> StopEvent | None:
        """As Tripwire.trip. Times are seconds of the host's clock."""
        if not self._gdb.running:
            self.generation += 1
            self._cache.clear()
            self._cached = 0
            self._set_physical(False)
            self._ask("-exec-continue")
        try:
            self._gdb.wait_until_stopped(seconds)
        except GdbSilent:
            return None
        now = time.monotonic() - self._started
        stopped = decoded(Stopped, self._gdb.stopped, "gdb")
        kind = {"watchpoint-trigger": "write", "breakpoint-hit": "hook"}.get(stopped.reason)
        if kind is None:
            why = stopped.signal or stopped.reason or "gdb does not say why"
            raise TargetError(f"{self.description} stopped by itself: {why}")
        thread = int(stopped.thread)
        return StopEvent(now, kind, thread - 1, self._registers([thread], ("rip", "rsp", "rdi"))[0])

    def disarm(self) -> None:
        """As Tripwire.disarm."""
        # An interrupt may have left answers unread, which tell whether the machine runs.
        self._try("-list-features")
        self.stop()
        if self._armed:
            self._try("-break-delete " + " ".join(number for number in self._armed if number))
            self._armed = []

    def close(self) -> None:
        """Leave the machine as it was found, and end gdb.

        Raises:
            TargetError: the machine is still there but could not be put back as it was.
        """
        try:
            with signals.held():
                self._close()
        except (KeyboardInterrupt, SystemExit):
            # It came before the block was entered.
            with signals.held():
                self._close()
            raise

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            restored = self._attached and self._restore_through_gdb()
        finally:
            self._gdb.close()
            if self._qmp:
                self._qmp.close()
            if self._bulk >= 0:
                os.close(self._bulk)
        if self._found and not restored:
            self._restore_without_gdb(self._found)

    def _restore_through_gdb(self) -> bool:
        """Put everything back; False if gdb or the stub does not do it."""
        if not self._found or self._gdb.lost or self._gdb.unfinished:
            return False
        try:
            if self._gdb.running:
                self._gdb.ask("-exec-interrupt", RESTORE_SECONDS)
                self._gdb.wait_until_stopped(RESTORE_SECONDS)
            self._set_physical(self._found.physical, RESTORE_SECONDS)
            self._gdb.ask("-target-detach" if self._resume else "-target-disconnect", RESTORE_SECONDS)
        except TargetError:
            return False
        return True

    def _restore_without_gdb(self, found: rsp.Found) -> None:
        try:
            rsp.restore(self.address, found.physical, bool(self._resume), RESTORE_SECONDS)
        except rsp.NobodyListens:
            # The machine has ended.
            return
        except TargetError as error:
            raise TargetError(
                f"{self.description} could not be left as found (physical-memory mode "
                f"{'on' if found.physical else 'off'}, {'running' if self._resume else 'stopped'}): {error}"
            ) from error

    def _parts(self, wanted: Sequence[tuple[int, int]]) -> list[bytes | NotReadable]:
        self._ready()
        problems = [self.unreadable(address, size) for address, size in wanted]
        blocks = [self.lines(address, size) or (address, size) for address, size in wanted]
        read: dict[tuple[int, int], bytes | NotReadable] = {}
        missing: dict[tuple[int, int], None] = {}
        for block, problem in zip(blocks, problems, strict=True):
            if problem:
                continue
            if block in self._cache:
                read[block] = self._cache[block]
            else:
                missing[block] = None
        for block, data in self._fetch(list(missing)).items():
            read[block] = data
            if isinstance(data, bytes):
                self._keep(block, data)
        parts: list[bytes | NotReadable] = []
        for (address, size), block, problem in zip(wanted, blocks, problems, strict=True):
            data = problem or read[block]
            parts.append(data[address - block[0] :][:size] if isinstance(data, bytes) else data)
        return parts

    def _keep(self, block: tuple[int, int], data: bytes) -> None:
        if self._cached + len(data) > LARGEST_CACHE:
            self._cache.clear()
            self._cached = 0
        self._cache[block] = data
        self._cached += len(data)

    def _fetch(self, requests: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes | NotReadable]:
        """Read from the machine."""
        fetched: dict[tuple[int, int], bytes | NotReadable] = {}
        if not requests:
            return fetched
        pieces: list[tuple[int, int]] = []
        for request in requests:
            bulk = self._read_bulk(*request)
            if bulk is not None:
                fetched[request] = bulk
            else:
                pieces += _pieces(*request)
        memory, path = self._gdb.memory, self._gdb.memory_file
        os.ftruncate(memory, 0)
        replies = self._try(*(f"append binary memory {path} {a:#x} {a + size:#x}" for a, size in pieces))
        good = sum(size for (_, size), reply in zip(pieces, replies, strict=True) if not reply.error)
        # What an interrupted request left stands before.
        at = os.fstat(memory).st_size - good
        done = iter(zip(pieces, replies, strict=True))
        for request in requests:
            if request in fetched:
                continue
            parts = []
            for _ in _pieces(*request):
                (address, size), reply = next(done)
                if reply.error:
                    fetched[request] = self.refusal(address, size, reply.error)
                else:
                    parts.append(os.pread(memory, size, at))
                    at += size
            fetched.setdefault(request, b"".join(parts))
        os.ftruncate(memory, 0)
        return fetched

    def _read_bulk(self, address: int, size: int) -> bytes | None:
        """Much RAM, through QMP; None if that is not the way."""
        return self._saved(address, size) if size >= PIECE else None

    def _saved(self, address: int, size: int) -> bytes | None:
        """RAM through QMP; None if there is none, or it is not all RAM."""
        if not self._qmp:
            return None
        view = self.flat_view()
        if not view or not view.in_ram(address, size):
            return None
        if self._bulk < 0:
            self._bulk = os.memfd_create("vtdpi-qmp")
        os.ftruncate(self._bulk, 0)
        path = f"/proc/{os.getpid()}/fd/{self._bulk}"
        # A QEMU of another user, or behind a sandbox, cannot open it: gdb reads then.
        with suppress(TargetError):
            self._qmp.execute("pmemsave", {"val": address, "size": size, "filename": path}, timeout=60)
            if len(data := os.pread(self._bulk, size, 0)) == size:
                return data
        return None

    def monitor(self, command: str) -> str | None:
        """As QemuStub.monitor; QMP answers at once what gdb's stub tells line by line."""
        self._ready()
        if self._qmp:
            return str(self._qmp.execute("human-monitor-command", {"command-line": command}))
        try:
            return self._ask(f"monitor {command}")[0].output
        except GdbRefused:
            return None

    def _registers(self, threads: Sequence[int], wanted: Sequence[str]) -> list[dict[str, int]]:
        """Some registers of each thread, those that the stub knows."""
        if self._register_names is None:
            told = self._ask("-data-list-register-names")[0].payload
            self._register_names = decoded(RegisterNames, told, "gdb").names
        numbers = {str(self._register_names.index(n)): n for n in wanted if n in self._register_names}
        command = "-data-list-register-values --thread {} --skip-unavailable x " + " ".join(numbers)
        found = []
        for reply in self._ask(*(command.format(thread) for thread in threads)):
            values = {v.number: v.value for v in decoded(RegisterValues, reply.payload, "gdb").values}
            found.append({name: int(values[n], 16) for n, name in numbers.items() if HEX.fullmatch(values.get(n, ""))})
        return found

    def _set_physical(self, on: bool, timeout: float | None = None) -> None:
        # Once is enough: a stub serves one debugger at a time, so that nobody else can change it while gdb is attached.
        packet = f"Qqemu.PhyMemMode:{on:d}"
        self._physical = None
        if 'received: "OK"' not in self._gdb.ask(f"maintenance packet {packet}", timeout).output:
            raise TargetError(f"the gdb stub at {self.address} does not do {packet}")
        self._physical = on

    def _ready(self) -> None:
        """Make sure that the machine can be read."""
        if self._closed:
            raise TargetError(f"{self.description} is closed")
        if self._gdb.running:
            raise TargetError(f"{self.description} is running: `stop` it to read it")
        if not self._physical:
            self._set_physical(True)

    def _ask(self, *commands: str) -> list[Reply]:
        replies = self._try(*commands)
        for command, reply in zip(commands, replies, strict=True):
            if reply.error:
                raise GdbRefused(f"gdb refuses {command!r}: {reply.error}")
        return replies

    def _try(self, *commands: str) -> list[Reply]:
        replies = self._gdb.try_all(commands)
        if self._gdb.lost:
            raise TargetError(str(self.lost))
        return replies


def _spans(blocks: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], list[tuple[int, int]]]]:
    """Start and size of what one read shall get, with the blocks in it, of blocks in order."""
    within: list[tuple[int, int]] = []
    start = end = 0
    for address, size in blocks:
        if within and (address > end + GAP or max(end, address + size) - start > LARGEST_SPAN):
            yield (start, end - start), within
            within = []
        if not within:
            start = end = address
        within.append((address, size))
        end = max(end, address + size)
    if within:
        yield (start, end - start), within


def _pieces(address: int, size: int) -> Iterator[tuple[int, int]]:
    """A request cut so that no single command of gdb's takes long."""
    for start in range(address, address + size, PIECE):
        yield start, min(PIECE, address + size - start)
