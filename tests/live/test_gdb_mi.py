"""A live QEMU read through gdb: what it reads, that it writes nothing, and that it leaves the machine as found."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from inspector.base.errors import NotReadable, TargetError
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.qmp import Qmp
from inspector.targets.live.rsp import Address, Conversation

pytestmark = pytest.mark.live

VTD = 0xFED90000
RAM = 0x100000
XEN = "4.17"


Eventually = Callable[[Callable[[], object]], None]


class State(NamedTuple):
    """What must be as it was found."""

    running: bool
    physical: bool


def running(lab: Lab) -> bool:
    with Qmp(lab.control) as qmp:
        return bool(qmp.execute("query-status")["running"])


def say(lab: Lab, packet: bytes) -> bytes:
    """One packet to the stub; the machine is stopped after it."""
    with Conversation(Address.parse(lab.gdb)) as stub:
        return stub.ask(packet)


def put(lab: Lab, state: State) -> None:
    assert say(lab, b"Qqemu.PhyMemMode:%d" % state.physical) == b"OK"
    with Qmp(lab.control) as qmp:
        qmp.execute("cont" if state.running else "stop")


def now(lab: Lab) -> State:
    state = State(running(lab), say(lab, b"qqemu.PhyMemMode") == b"1")
    put(lab, state)
    return state


@pytest.fixture
def lab(labs: Callable[[Recipe], Lab]) -> Iterator[Lab]:
    one = labs(Recipe(xen=XEN))
    yield one
    put(one, State(True, False))


@pytest.fixture(params=[State(True, False), State(False, False), State(True, True), State(False, True)], ids=str)
def found(lab: Lab, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> State:
    put(lab, request.param)
    if not tells(lab):
        # What QEMU does not tell, the user does.
        monkeypatch.setattr(request.module, "GdbMi", partial(GdbMi, resume=request.param.running))
    return State(*request.param)


def tells(lab: Lab) -> bool:
    """Whether its QEMU tells gdb whether the machine was running: from 8.1 on it stops it before it tells anything."""
    with Qmp(lab.control) as qmp:
        version = qmp.execute("query-version")["qemu"]
    return (version["major"], version["minor"]) < (8, 1)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def hit(target: GdbMi, number: signal.Signals, pid: int = 0, patience: float = 10) -> None:
    """Send a signal to gdb, or to another process, and read, with so many seconds for gdb to answer.

    That is for the reading only: on a busy machine gdb takes its time to attach.
    """
    target._gdb.timeout = patience
    os.kill(pid or target._gdb.pid, number)
    target.read(RAM + 0x1000, 64)


def read_for_ever(target: GdbMi, seconds: float, pid: int, number: signal.Signals) -> None:
    """Read, while that signal comes after some time."""
    threading.Timer(seconds, os.kill, (pid, number)).start()
    while True:
        target.read_parts([(RAM, 8 << 20), (VTD, 16)])
        target._cache.clear()


def attach_for_ever(lab: Lab, seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        with GdbMi(lab.gdb):
            pass


def test_left_as_found(lab: Lab, found: State) -> None:
    with GdbMi(lab.gdb) as target:
        assert target.found_running == (found.running if tells(lab) else None)
        assert not running(lab)
        target.read(VTD, 16)
        target.close()
    target.close()
    assert is_gone(target._gdb.pid)
    assert now(lab) == found
    with pytest.raises(TargetError, match="is closed"):
        target.read(RAM, 4)


def test_left_as_found_after_cont_and_stop(lab: Lab, found: State, eventually: Eventually) -> None:
    with GdbMi(lab.gdb) as target:
        for _ in range(20):
            target.cont()
            target.stop()
            assert target.read(VTD + 0x1C, 4) != bytes(4)
        assert not running(lab)
        target.cont()
        eventually(lambda: running(lab))
        with pytest.raises(TargetError, match="is running"):
            target.read(RAM, 4)
    assert now(lab) == found


def test_left_as_found_after_an_exception(lab: Lab, found: State) -> None:
    with pytest.raises(ZeroDivisionError), GdbMi(lab.gdb) as target:
        target.read(RAM, 1 // 0)
    assert is_gone(target._gdb.pid)
    assert now(lab) == found


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0])
def test_left_as_found_after_ctrl_c_in_a_read(lab: Lab, found: State, seconds: float) -> None:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), GdbMi(lab.gdb) as target:
        read_for_ever(target, seconds, os.getpid(), signal.SIGINT)
    assert time.monotonic() - began < seconds + 10
    assert is_gone(target._gdb.pid)
    assert now(lab) == found


def test_left_as_found_after_ctrl_c_in_the_start(lab: Lab, found: State) -> None:
    for delay in (0.0, 0.02, 0.08, 0.1, 0.12, 0.15, 0.2):
        with pytest.raises(KeyboardInterrupt):
            attach_for_ever(lab, delay)
        assert now(lab) == found


def test_reads_go_on_after_ctrl_c(lab: Lab) -> None:
    with GdbMi(lab.gdb) as target:
        before = target.read(VTD, 16)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                read_for_ever(target, 0.1, os.getpid(), signal.SIGINT)
            target._cache.clear()
            assert target.read(VTD, 16) == before


def test_left_as_found_when_gdb_is_killed(lab: Lab, found: State) -> None:
    with pytest.raises(TargetError, match=r"^gdb ended \("), GdbMi(lab.gdb) as target:
        hit(target, signal.SIGKILL)
    assert now(lab) == found


def test_left_as_found_when_gdb_hangs(lab: Lab, found: State) -> None:
    with pytest.raises(TargetError, match=r"^gdb is silent for 1 sec"), GdbMi(lab.gdb) as target:
        hit(target, signal.SIGSTOP, patience=1)
    assert is_gone(target._gdb.pid)
    assert now(lab) == found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("going", [False, True])
def test_left_as_found_when_we_are_killed(
    lab: Lab, found: State, how: signal.Signals, going: bool, eventually: Eventually
) -> None:
    script = "\n".join(
        [
            "import sys, time",
            "from inspector.targets.live.gdb_mi import GdbMi",
            "with GdbMi(sys.argv[1], resume=eval(sys.argv[3])) as target:",
            "    target.read(0x100000, 64)",
            "    if int(sys.argv[2]):",
            "        target.cont()",
            "    print(target._gdb.pid, flush=True)",
            "    time.sleep(60)",
        ]
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, lab.gdb, str(int(going)), str(None if tells(lab) else found.running)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout
        gdb = int(child.stdout.readline())
        try:
            # gdb says that it runs a moment before QEMU does.
            eventually(lambda: running(lab) == going)
        finally:
            child.send_signal(how)
    eventually(lambda: is_gone(gdb))
    # A machine that was set going stays so if nobody is left to stop it.
    expected = found._replace(running=True) if going and how != signal.SIGINT else found
    assert now(lab) == expected


def test_qemu_killed_in_the_middle(labs: Callable[[Recipe], Lab]) -> None:
    # Of its own: `labs` starts another one for the next test.
    mortal = labs(Recipe(xen=XEN, name="mortal"))
    began = time.monotonic()
    with pytest.raises(TargetError) as caught, GdbMi(mortal.gdb) as target:
        read_for_ever(target, 0.1, mortal.pid, signal.SIGKILL)
    assert time.monotonic() - began < 20
    assert not isinstance(caught.value, NotReadable)
    assert str(caught.value) == f"QEMU at {mortal.gdb} is gone: it closed the connection"
    assert is_gone(target._gdb.pid)


def test_qemu_hangs(lab: Lab) -> None:
    try:
        with pytest.raises(TargetError) as caught, GdbMi(lab.gdb) as target:
            hit(target, signal.SIGSTOP, lab.pid, patience=1)
    finally:
        os.kill(lab.pid, signal.SIGCONT)
    assert "could not be left as found" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert is_gone(target._gdb.pid)


def test_a_second_debugger_is_turned_away_and_does_no_harm(lab: Lab, eventually: Eventually) -> None:
    with GdbMi(lab.gdb) as target:
        target.cont()
        with pytest.raises(TargetError, match="serves one at a time"):
            GdbMi(lab.gdb)
        eventually(lambda: running(lab))
        target.stop()
        target.read(RAM, 4)
    assert now(lab) == State(True, False)


def test_ram_is_what_qmp_saves(lab: Lab, tmp_path: Path) -> None:
    size = 3 << 20
    with GdbMi(lab.gdb) as target, Qmp(lab.control) as qmp:
        qmp.execute("pmemsave", {"val": RAM, "size": size, "filename": str(tmp_path / "ram")})
        expected = (tmp_path / "ram").read_bytes()
        assert any(expected)
        assert target.read(RAM, size) == expected
        wanted = [(at, n) for at in range(0, size - 0x3000, 0x1234F) for n in (1, 3, 8, 64, 1023, 1024, 0x2001)]
        parts = target.read_parts([(RAM + at, n) for at, n in wanted])
        assert parts == [expected[at : at + n] for at, n in wanted]
        assert target.read(RAM, 0) == b""


def test_registers_are_what_the_monitor_reads(lab: Lab) -> None:
    with GdbMi(lab.gdb) as target, Qmp(lab.control) as qmp:
        wanted = [(VTD + 0x08, 8), (VTD + 0x10, 8), (VTD + 0x1C, 4), (VTD + 0xB8, 8)]
        for (address, size), part in zip(wanted, target.read_parts(wanted), strict=True):
            line = f"xp /1{'g' if size == 8 else 'w'}x {address:#x}"
            text = qmp.execute("human-monitor-command", {"command-line": line})
            assert part is not None
            assert int.from_bytes(part, "little") == int(text.split(":")[1], 16) != 0
        whole = target.read(VTD, 0x230)
        assert whole[8:16] == target.read(VTD + 8, 8)


def test_cpus_are_what_the_monitor_shows(labs: Callable[[Recipe], Lab], lab: Lab) -> None:
    with GdbMi(lab.gdb) as target, Qmp(lab.control) as qmp:
        text = qmp.execute("human-monitor-command", {"command-line": "info registers -a"})
        cpus = target.cpus()
        assert [cpu.index for cpu in cpus] == list(range(text.count("CPU#")))
        for cpu, shown in zip(cpus, text.split("CPU#")[1:], strict=True):
            for name in ("RIP", "RSP", "CR0", "CR3", "CR4", "EFER"):
                match = re.search(rf"\b{name}=([0-9a-f]+)", shown)
                assert match
                assert cpu.registers[name.lower()] == int(match[1], 16)
            cs = re.search(r"\bCS =([0-9a-f]{4})", shown)
            gs = re.search(r"\bGS =[0-9a-f]{4} ([0-9a-f]{16})", shown)
            assert cs
            assert gs
            assert cpu.registers["cs"] == int(cs[1], 16)
            assert cpu.registers["gs_base"] == int(gs[1], 16)


def test_ioapics_are_raw(lab: Lab) -> None:
    with GdbMi(lab.gdb) as target:
        (ioapic,) = target.ioapics()
    assert ioapic.version == 0x20
    assert len(ioapic.redirection) == 24
    # Xen writes remappable entries: bit 48 is their format, and the handle is the pin's own.
    assert [entry >> 49 for entry in ioapic.redirection] == list(range(24))
    assert all(entry >> 48 & 1 for entry in ioapic.redirection)


def test_nothing_there_is_said(lab: Lab) -> None:
    end = 64 << 20
    with GdbMi(lab.gdb) as target:
        with pytest.raises(NotReadable, match="has nothing there") as caught:
            target.read(end - 0x800, 0x1800)
        assert (caught.value.address, caught.value.size) == (end, 0x1000)
        nowhere = [(end, 4), (1 << 60, 8), (-1, 2), ((1 << 64) - 2, 4), (0, 1 << 50)]
        first, *parts, last = target.read_parts([(RAM, 4), *nowhere, (VTD, 4)])
        assert parts == [None] * len(nowhere)
        assert first is not None
        assert last is not None


def test_qmp_reads_the_same_and_knows_the_memory(lab: Lab) -> None:
    with GdbMi(lab.gdb) as target:
        assert not target.scannable
        without = target.memory()
        expected = target.read(RAM, 2 << 20)
    with GdbMi(lab.gdb, qmp=str(lab.qmp)) as target:
        assert target.found_running is True
        assert target.read(RAM, 2 << 20) == expected
        assert target._bulk >= 0
        assert target.scannable
        memory = target.memory()
        assert memory == without
        assert memory[-1].end == 64 << 20
        assert len(target.read(RAM, 48 << 20)) == 48 << 20
    assert now(lab) == State(True, False)


def test_it_can_be_told_to_leave_the_machine_stopped(lab: Lab) -> None:
    with GdbMi(lab.gdb, resume=False):
        pass
    assert now(lab) == State(False, False)


def test_no_gdb_does_not_touch_the_machine(lab: Lab) -> None:
    with pytest.raises(TargetError, match="install the package gdb"):
        GdbMi(lab.gdb, gdb="no-such-gdb")
    assert now(lab) == State(True, False)


class Recorder:
    """A proxy before a stub that keeps what the debugger sends."""

    def __init__(self, lab: Lab) -> None:
        self.said = b""
        self._to = Address.parse(lab.gdb)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def packets(self) -> list[str]:
        return [packet.decode() for packet in re.findall(rb"\$([^#]*)#", self.said)]

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                debugger, _ = self._server.accept()
                with debugger, socket.socket(socket.AF_UNIX) as stub:
                    stub.connect(self._to.host)
                    debugger.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._forward(debugger, stub)

    def _forward(self, debugger: socket.socket, stub: socket.socket) -> None:
        while True:
            for one in select.select([debugger, stub], [], [])[0]:
                data = one.recv(1 << 16)
                if not data:
                    return
                if one is debugger:
                    self.said += data
                (stub if one is debugger else debugger).sendall(data)


@contextmanager
def recorded(lab: Lab) -> Iterator[Recorder]:
    recorder = Recorder(lab)
    try:
        yield recorder
    finally:
        recorder.close()


READ_ONLY = re.compile(
    r"q(?!Attached:0$).*|\?|g|m[0-9a-f]+,[0-9a-f]+|p[0-9a-f]+|H[gc].*|T.*|v(MustReplyEmpty|Cont\?)|Qqemu\.PhyMemMode:[01]"
)


@pytest.mark.parametrize("end", ["close", "kill gdb"])
def test_a_session_writes_nothing(lab: Lab, found: State, end: str) -> None:
    with recorded(lab) as recorder:
        ends = pytest.raises(TargetError) if end == "kill gdb" else nullcontext()
        with ends, GdbMi(recorder.address) as target:
            target.read(RAM, 1 << 20)
            target.read_parts([(VTD + 8, 8), (RAM, 64), (1 << 40, 4)])
            target.cpus()
            target.ioapics()
            if end == "kill gdb":
                os.kill(target._gdb.pid, signal.SIGKILL)
                target.read(RAM + 0x1000, 2)
        packets = recorder.packets()
    # How much one packet asks for is between this gdb and this QEMU.
    assert sum(int(packet.rpartition(",")[2], 16) for packet in packets if packet.startswith("m")) > 1 << 20
    other = [packet for packet in packets if not READ_ONLY.fullmatch(packet)]
    assert other == (["D;1"] if found.running else [])
    monitor = {bytes.fromhex(p.removeprefix("qRcmd,")).decode() for p in packets if p.startswith("qRcmd,")}
    assert monitor <= {"info status", "info version", "info mtree -f", "info pic", "info lapic 0"}
    assert now(lab) == found


def test_registers_are_read_in_aligned_pieces(lab: Lab) -> None:
    """An unaligned or short read gives zeros from a device, silently."""
    with recorded(lab) as recorder:
        with GdbMi(recorder.address) as target:
            target.read_parts([(VTD + 8, 8), (VTD + 0x1C, 4), (VTD, 0x230)])
        reads = [packet for packet in recorder.packets() if packet.startswith(f"m{VTD >> 12:x}")]
    assert reads == [f"m{VTD + 8:x},8", f"m{VTD + 0x1C:x},4", f"m{VTD:x},230"]


@pytest.fixture
def lab10(labs: Callable[[Recipe], Lab]) -> Iterator[Lab]:
    one = labs(Recipe(xen=XEN, qemu="trixie"))
    yield one
    put(one, State(True, False))


@pytest.mark.parametrize("found", [State(True, False), State(False, True)], ids=str)
def test_a_newer_qemu_is_left_as_found_when_qmp_tells(lab10: Lab, found: State) -> None:
    put(lab10, found)
    with GdbMi(lab10.gdb, qmp=str(lab10.qmp)) as target:
        assert target.found_running == found.running
        target.cont()
    assert now(lab10) == found
    with pytest.raises(TargetError, match=r"^gdb ended \("), GdbMi(lab10.gdb, qmp=str(lab10.qmp)) as target:
        hit(target, signal.SIGKILL)
    assert now(lab10) == found


def test_a_newer_qemu_does_not_tell_whether_it_ran(lab10: Lab) -> None:
    """So it runs afterwards, as after gdb; unless its monitor knows that it never started."""
    for state in (State(True, False), State(False, False)):
        put(lab10, state)
        with GdbMi(lab10.gdb) as target:
            assert target.found_running is None
            assert target.ioapics()[0].redirection
        assert now(lab10) == State(True, False)


def test_a_newer_qemu_that_never_started_is_left_so(labs: Callable[[Recipe], Lab]) -> None:
    stopped = labs(replace(Recipe(xen=XEN, qemu="trixie"), stopped=True))
    with GdbMi(stopped.gdb) as target:
        assert target.found_running is False
        assert target.cpus()[0].registers["rip"] == 0xFFF0
    with Qmp(stopped.control) as qmp:
        assert qmp.execute("query-status")["status"] == "prelaunch"


def test_a_dom0_goes_on(lab_dom0: Lab) -> None:
    for _ in range(5):
        with GdbMi(lab_dom0.gdb) as target:
            assert target.found_running is (True if tells(lab_dom0) else None)
            target.read(RAM, 1 << 16)
    assert "interrupt remapping" in lab_dom0.keys("V").lower()
