"""A machine in Bochs behind a gdb remote stub that only reads it.

The CPUs are gdb's threads. Virtual addresses are Xen's, whatever a CPU has loaded: one that is in a guest maps no Xen.
Breakpoints and write watchpoints are those of Bochs' debugger, which are not in the machine's memory.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from inspector.base.errors import UNREADABLE, TargetError
from inspector.capture.inspection import Inspection
from inspector.targets.live.bochs import Bochs, BochsMachine
from sim_backend.debug import gdb_monitor
from sim_backend.debug.gdb_packets import BAD, INTERRUPTED, REFUSED, TRAPPED, NoSuchMemory, PacketStub

MOMENT = 0.02
"""Seconds between two looks at the connection while the machine runs."""
STOPPED_AT = re.compile(r"^\((\d+)\) (?:Breakpoint \d+, |Caught write watch point at 0x([0-9a-f]+))", re.MULTILINE)
POINT = re.compile(r"^\s*(\d+) lbreakpoint\s+\w+\s+\w+\s+(0x[0-9a-f]+)", re.MULTILINE)


class BochsStub(PacketStub):
    """The stub of one such machine. While no debugger is here it is left alone, and others may read it.

    Its methods raise TargetError when Bochs is gone.
    """

    def __init__(self, machine: BochsMachine) -> None:
        super().__init__()
        self._machine = machine
        self._bochs: Bochs | None = None
        self._inspection: Inspection | None = None
        self._watches: dict[tuple[int, int], int] = {}
        with Bochs(machine) as bochs:
            self.cpus = len(bochs.cpus())

    @property
    def bochs(self) -> Bochs:
        """The machine, while a debugger is here."""
        if self._bochs is None:
            raise TargetError("no debugger is connected")
        return self._bochs

    def attached(self, running: bool) -> bool:
        """As PacketStub: the machine knows best whether it ran."""
        self._bochs = Bochs(self._machine)
        self._cpu = 0
        ran = self._bochs.running
        self._bochs.stop()
        self._inspection = Inspection(self._bochs)
        return ran

    def detached(self, resume: bool) -> None:
        """As PacketStub; none of the debugger's points is left."""
        if self._bochs is None:
            return
        bochs, self._bochs, self._inspection = self._bochs, None, None
        try:
            bochs.stop()
            bochs.debugger.command("unwatch")
            self._watches.clear()
            for number, _ in POINT.findall(bochs.debugger.command("blist")):
                bochs.debugger.command(f"del {number}")
            if resume:
                bochs.cont()
        finally:
            bochs.leave()

    @property
    def crashed(self) -> str | None:
        """As PacketStub: a machine in Bochs always goes on."""
        return None

    def registers(self, cpu: int) -> Mapping[str, int]:
        """As PacketStub."""
        return self.bochs.debugger.cpu_registers(cpu)

    def describe(self, cpu: int) -> str:
        """As PacketStub."""
        return "in a guest" if self.bochs.registers(cpu).get("guest") else "in Xen, or a paravirtualised domain"

    def place(self, address: int) -> int:
        """As PacketStub."""
        xen = self._inspection.xen if self._inspection else None
        if xen is None:
            raise NoSuchMemory("where Xen is is not known")
        try:
            return xen.memory.translate(address)
        except UNREADABLE as error:
            raise NoSuchMemory(str(error)) from None

    def read(self, place: int, size: int) -> bytes:
        """As PacketStub."""
        try:
            return self.bochs.read(place, size)
        except UNREADABLE as error:
            raise NoSuchMemory(str(error)) from None

    def write(self, pieces: list[tuple[int, int]], data: bytes) -> str:
        """As PacketStub: never."""
        return REFUSED

    def point(self, kind: str, address: int, size: int, insert: bool) -> str:
        """As PacketStub."""
        debugger = self.bochs.debugger
        if kind in ("0", "1"):
            if insert:
                debugger.command(f"lb {address:#x}")
                return "OK"
            for number, at in POINT.findall(debugger.command("blist")):
                if int(at, 16) == address:
                    debugger.command(f"del {number}")
            return "OK"
        if kind != "2":
            return ""
        if not insert:
            place = self._watches.pop((address, size), None)
            if place is not None:
                debugger.command(f"unwatch {place:#x}")
            return "OK"
        place = address if self.physical else self.place(address)
        if "inserted" not in debugger.command(f"watch w {place:#x} {size}"):
            return BAD
        self._watches[address, size] = place
        return "OK"

    def monitor(self, command: str) -> str:
        """As PacketStub."""
        ranges = [(known.start, known.size, "ram", "ram") for known in self.bochs.memory()]
        return gdb_monitor.told(command, "Bochs behind vtdpi's stub", ranges)

    def step(self) -> str:
        """As PacketStub."""
        self.bochs.debugger.command(f"s {self._cpu} 1")
        self._moved()
        return self.stop_reply(TRAPPED)

    def run(self, count: int) -> tuple[str | None, bool]:
        """As PacketStub; without a debugger here it is left as it is."""
        if self._bochs is None:
            return None, False
        self._bochs.debugger.cont()
        said = self._bochs.debugger.wait(MOMENT)
        if said is None:
            return None, True
        self._moved()
        hit = STOPPED_AT.search(said)
        if not hit:
            return self.stop_reply(INTERRUPTED), True
        self._cpu = int(hit[1])
        if hit[2] is None:
            return self.stop_reply(TRAPPED, "hwbreak:;"), True
        stored = int(hit[2], 16)
        named = next((at for (at, size), place in self._watches.items() if place <= stored < place + size), stored)
        return self.stop_reply(TRAPPED, f"watch:{named:x};"), True

    def halt(self) -> None:
        """As PacketStub."""
        self.bochs.stop()
        self._moved()

    def _moved(self) -> None:
        """What was read of the machine is of another moment."""
        self._inspection = Inspection(self.bochs)


def listen(path: Path) -> socket.socket:
    """A unix socket that only its owner can open.

    Raises:
        TargetError: it cannot be listened on, or somebody listens there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise TargetError(f"{path} cannot be listened on: {error.strerror or error}; name another --socket") from None
    finally:
        os.umask(before)
    return listener
