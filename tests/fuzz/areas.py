"""What comes from outside, area by area: a valid one is made once, then damaged in each case."""

from __future__ import annotations

import io
import json
import os
import random
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest import mock

import zstandard

from inspector.model import snapshot as snapshots
from inspector.profiles import dwarf
from inspector.shell import line as lines
from inspector.shell.config import default
from inspector.shell.config import parse as parse_config
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.live import qemu_text
from inspector.targets.live.mi import parsed
from inspector.targets.live.qmp import Qmp
from inspector.targets.live.rsp import Address, Conversation
from inspector.targets.open_file import open_file
from inspector.targets.options import SimOptions
from inspector.targets.recorded.recorded import RecordedTarget
from inspector.targets.sim.simulation import simulated
from inspector.targets.target import Target
from inspector.trace import trace_file
from sim_backend.machine import history
from sim_backend.machine.environment import Move
from sim_backend.machine.machine import Machine
from sim_backend.scenario import scenario
from structs.xen import isf
from structs.xen.profile import Profile
from tests.fuzz.apart import forked
from tests.fuzz.harness import Case, changed, damaged, text_of
from tests.fuzz.memory import changed_memory, extents, flattened, page_bitmap, unflattened

DATA = Path(__file__).parents[1] / "data"
COMMANDS = ("vcpus", "irt", "audit", "info", "blocked", "ioapic", "route irte 1", "pi d1v0", "faults", "dmar")


def asked(target: Target, luck: random.Random) -> None:
    """Ask something of a target, in text and in JSON; the answer holds nothing that commands a terminal."""
    with Session(Opening(lambda: target)) as session:
        out = io.StringIO()
        answered = session.ask([*luck.choice(COMMANDS).split(), *luck.choice([[], ["--json"]])])
        answered.show(out)
        answered.tell(out)
        text = out.getvalue()
        assert text.replace("\n", " ").replace("\t", " ").isprintable(), "control characters"
        text.encode("utf-8")


def in_file(content: bytes, luck: random.Random, then: Callable[[str], None]) -> None:
    """Do something with a file of this content."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(content)
        file.flush()
        then(file.name)


def opened(content: bytes, luck: random.Random, often: float = 1.0) -> None:
    """Open a file as `vtdpi dump` does, and ask something of it; if not so often, most times just read here and there.

    A command looks for Xen in all of a dump: a hundred times as long as to open it.
    """

    def ask(name: str) -> None:
        with open_file(name) as target:
            if luck.random() < often:
                asked(target, luck)
                return
            target.cpus()
            for part in list(target.memory())[:20]:
                target.read_parts([(part.start, 4096), (part.end - 64, 128)])

    in_file(content, luck, ask)


@cache
def saved() -> list[Any]:
    documents = []
    for name in ("one-device", "wakeup-storm", "two-blocked"):
        target = simulated(SimOptions(scenario=name, steps=300))
        with Session(Opening(lambda target=target: target)) as session:
            documents.append(json.loads(snapshots.dumps(session.inspection.snapshot.complete())))
    return documents


def snapshot(luck: random.Random) -> None:
    made = snapshots.loads(text_of(changed(luck.choice(saved()), luck)), "the file")
    asked(RecordedTarget("snapshot", made), luck)


def snapshot_bytes(luck: random.Random) -> None:
    opened(damaged(text_of(luck.choice(saved())).encode(), luck), luck)


LOG = """(XEN) Xen version 4.20.3 (Debian 4.20.3-1) (a@b) (gcc 14) debug=n Mon Sep  1 12:00:00 UTC 2025
(XEN) Intel VT-d Interrupt Remapping enabled.
(XEN) Intel VT-d Posted Interrupt enabled.
(XEN) Switched to APIC driver x2apic_cluster
(XEN) iommu 0: nr_pt_levels = 3.
(XEN)   Interrupt Posting: supported.
(XEN)   Interrupt remapping table (nr_entry=0x10000. Only dump P=1 entries here):
(XEN) R means remapped format, P means posted format.
(XEN) R:       SVT  SQ   SID  V  AVL FPD      DST DLM TM RH DM P
(XEN) P:       SVT  SQ   SID  V  AVL FPD              PDA  URG P
(XEN) R:  0000:  1   0  ff00 38    0   0 00000001   0  0  1  1 1
(XEN) P:  0001:  1   0  0018 52    0   0        27bd2680   0 1
(XEN) Redirection table of IOAPIC 0:
(XEN)   #entry IDX FMT MASK TRIG IRR POL STAT DELI  VECTOR
(XEN)   02:    0000   1    0   0   0   0    0    0     38
(XEN) MSI     27 vec=52  fixed  edge   assert  log lowest dest=00000001 mask=0/  /?
(XEN) General information for domain 1:
(XEN)     refcnt=3 dying=0 pause_count=0
(XEN)     paging assistance: hap refcounts translate external
(XEN) VCPU information and callbacks for domain 1:
(XEN)     VCPU0: CPU1 [has=F] poll=0 upcall_pend=00 upcall_mask=00
(XEN)     pause_count=0 pause_flags=1
(XEN) Direct vector information:
(XEN)    0xf4 -> vmx.c#pi_notification_interrupt
(XEN)    0xf3 -> vmx.c#pi_wakeup_interrupt
"""


@cache
def field_logs() -> list[str]:
    """Logs of all debug keys, faults and boots."""
    folder = Path(__file__).parents[1] / "data" / "field" / "logs"
    return [path.read_text("latin-1") for path in sorted(folder.iterdir())]


def console_log(luck: random.Random) -> None:
    kept = luck.choice([LOG, *field_logs()]).splitlines(keepends=True)
    for _ in range(luck.randint(0, 4)):
        words = luck.choice(kept).split(" ")
        words[luck.randrange(len(words))] = luck.choice(["-1", "ffffffffffffffff", "9" * 5000, "\x1b[2J", "0x8000000"])
        kept.insert(luck.randrange(len(kept)), " ".join(words).rstrip("\n") + "\n")
    raw = "".join(kept).encode()
    opened(damaged(raw, luck) if luck.random() < 0.7 else raw, luck)


@cache
def profiles() -> list[Any]:
    return [json.loads(path.read_bytes()) for path in (files("structs.xen") / "profiles").iterdir()]


def profile(luck: random.Random) -> None:
    document = changed(luck.choice(profiles()), luck)
    isf.check(document)
    made = Profile(document)
    for _ in range(20):
        struct = luck.choice(["vcpu", "domain", "pi_desc", "vtd_iommu", "msi_desc", "irq_desc", "list_head"])
        member = luck.choice(list(document["user_types"].get(struct, {}).get("fields", {})) or ["x"])
        selection = made.selection(struct, member)
        assert 0 <= selection.offset <= selection.offset + selection.record.size <= made.size(struct) + 8
    machine(SimOptions(scenario="idle"), made, luck)


@cache
def a_xen_syms() -> bytes:
    return zstandard.ZstdDecompressor().decompress((DATA / "tiny" / "xen-syms.zst").read_bytes(), 1 << 20)


def xen_syms(luck: random.Random) -> None:
    """ELF and DWARF; mostly without what moves all that follows."""
    whole = bytearray(a_xen_syms())
    dwarf_at, dwarf_end = whole.index(b"\x05\0\x01\x08", 0x2000), whole.rindex(b".debug_line_str")
    if luck.random() < 0.2:
        whole = bytearray(damaged(bytes(whole), luck))
    else:
        for _ in range(luck.randint(1, 6)):
            at = luck.randrange(dwarf_at, dwarf_end) if luck.random() < 0.9 else luck.randrange(len(whole))
            whole[at] = luck.choice([0, 1, 0x7F, 0x80, 0xFF, whole[at] ^ 1 << luck.randrange(8), luck.randrange(256)])
    with mock.patch.object(subprocess, "run", forked):
        in_file(bytes(whole), luck, lambda name: check(dwarf.make(Path(name))))


def check(made: Profile) -> None:
    """A profile that was made can be asked, and is its own."""
    assert made.size("vcpu") >= 0
    assert isf.check(made.document) is None


def machine(options: SimOptions, layout: Profile, luck: random.Random) -> None:
    """Look by a layout at the memory of a machine that was laid out by another one."""
    from inspector.xen.find import find

    with suppress(LookupError):
        find(still(), [layout])


@cache
def still() -> Target:
    return simulated(SimOptions(scenario="idle"))


@cache
def scenario_text() -> list[str]:
    folder = Path(str(files("sim_backend.scenario") / "bundled"))
    return [path.read_text() for path in sorted(folder.glob("*.toml"))]


def scenario_toml(luck: random.Random) -> None:
    raw = damaged(luck.choice(scenario_text()).encode(), luck)
    scenario.parse(raw.decode("utf-8", "replace"), "the file")


@cache
def a_history() -> Any:
    made = history.History(scenario.load("idle"), machine_version(), (Move(order="block", arguments=("d1v0",)),))
    return json.loads(made.text())


def machine_version() -> Any:
    from sim_backend.logic.versions import CURRENT

    return CURRENT


def saved_history(luck: random.Random) -> None:
    found = history.parse(text_of(changed(a_history(), luck)), "the file")
    if luck.random() < 0.02:
        found.at()


@cache
def a_trace() -> list[str]:
    target = simulated(SimOptions(scenario="wakeup-storm"))
    with tempfile.TemporaryDirectory() as folder, Session(Opening(lambda: target)) as session:
        session.ask(["trace", "--count", "20", "--output", f"{folder}/trace"]).show(io.StringIO())
        return Path(folder, "trace").read_text().splitlines()


def saved_trace(luck: random.Random) -> None:
    from inspector.trace import perfetto

    kept = list(a_trace())
    at = luck.randrange(len(kept))
    kept[at] = text_of(changed(json.loads(kept[at]), luck))
    hits, unit = trace_file.loads("\n".join(kept), "the file")
    perfetto.dumps(hits, unit, (0xF4, 0xF3))


@cache
def a_machine() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        Machine(scenario.load("idle"), seed=1).save(f"{folder}/machine")
        return Path(folder, "machine").read_bytes()


def saved_machine(luck: random.Random) -> None:
    """Behind its checksum, as somebody would who wants to be believed."""
    from tests.fuzz.checkpoint import with_changed_document

    in_file(with_changed_document(a_machine(), luck), luck, lambda name: _run_on(Machine.load(name)))


def _run_on(loaded: Machine) -> None:
    loaded.run(50)


LINES = (
    *("vcpus d1v0 --json", "irt --posted --device 00:03.0", "irte 0x10", "route ioapic 2", "pi d1v1", "audit D5"),
    *("expect vcpus vcpus[0].pi.on == 0", "expect irt units[0].entries[0].vector >= 0x20", "explain S3", "help irt"),
    *("expect audit findings == []", "blocked 1", "regs irta --json", "queue --last 3", "step 3", "post 00:03.0 0"),
)


def repl_line(luck: random.Random) -> None:
    text = damaged(luck.choice(LINES).encode(), luck, 3).decode("utf-8", "surrogateescape")
    words = lines.parse(text).words
    if words and words[0] not in ("watch", "trace", "run", "save", "core", "report", "diff") and "-h" not in text:
        with Session(Opening(still)) as session, suppress(SystemExit):
            out = io.StringIO()
            answered = session.ask(list(words))
            answered.show(out)
            assert out.getvalue().replace("\n", " ").replace("\t", " ").isprintable(), "control characters"


def address(luck: random.Random) -> None:
    alphabet = "0123456789:[].abcdefx%/unix tcp-\\\"'\n\u0661\xb2\0"
    Address.parse("".join(luck.choice(alphabet) for _ in range(luck.randrange(24))))


class Speaker:
    """Listens on a unix socket, and says to whoever connects what it was told to, at once and all of it."""

    def __init__(self) -> None:
        self._says = b""
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self._path = f"{self._folder.name}/socket"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self._path)
        self._server.listen()
        threading.Thread(target=self._speak, daemon=True).start()

    def saying(self, what: bytes) -> str:
        """Where it listens; from now on it says this."""
        self._says = what
        return self._path

    def _speak(self) -> None:
        while True:
            client, _ = self._server.accept()
            with client, suppress(OSError):
                client.sendall(self._says)
                client.shutdown(socket.SHUT_WR)


@cache
def speaker() -> Speaker:
    return Speaker()


PACKETS = (b"T05thread:01;", b"OK", b"1", b"0", b"", b"E22", b"PacketSize=1000", b"O6869", b"F1,2", b"W00", b"vFile")


def remote_protocol(luck: random.Random) -> None:
    """A whole conversation, whose other side says what it likes."""
    said = b"".join(b"+$%s#%02x" % (p, sum(p) & 255) for p in luck.choices(PACKETS, k=luck.randint(1, 5)))
    said = damaged(said, luck, 3) if luck.random() < 0.8 else said
    with Conversation(Address(speaker().saying(said), 0), 0.5) as stub:
        for _ in range(3):
            if luck.random() < 0.5:
                stub.ask(b"qqemu.PhyMemMode")
            else:
                stub.monitor("info status")


REPLIES = (
    {"return": {"running": True, "status": "running"}},
    {"return": {}},
    {"error": {"class": "GenericError", "desc": "no"}},
    {"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}},
)
GREETING = {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}


def qmp(luck: random.Random) -> None:
    documents = [GREETING, {"return": {}}, *luck.choices(REPLIES, k=4)]
    at = luck.randrange(len(documents))
    documents[at] = changed(documents[at], luck)
    raw = b"".join(text_of(document).encode() + b"\r\n" for document in documents)
    raw = damaged(raw, luck, 2) if luck.random() < 0.5 else raw
    with Qmp(speaker().saying(raw), 0.5) as monitor:
        monitor.status()


MI = (
    b'1^done,bkpt={number="1",type="hw breakpoint",addr="0x0"}',
    b'2^error,msg="Cannot access memory at address 0x10"',
    b'*stopped,reason="signal-received",signal-name="SIGINT",thread-id="1",stopped-threads="all",frame={addr="0x1"}',
    b'3^done,register-names=["rax","","rip"]',
    b'4^done,threads=[{id="1",target-id="Thread 1.1",state="stopped"}],current-thread-id="1"',
    b'~"text with \\"escapes\\" \\n and \\033[31m\\n"',
    b'=thread-group-added,id="i1"',
    b'@"target output"',
    b"(gdb) ",
)


REQUESTS = (
    *("?", "g", "m1000,40", "Mffff82d040000000,1:00", "X1000,1:a", "qSupported:xmlRegisters=i386", "qfThreadInfo"),
    *("qXfer:features:read:target.xml:0,fff", "Hg1", "T1", "Z2,1000,8", "z2,1000,8", "Z0,ffff82d040200000,1", "p10"),
    *("qRcmd,696e666f", "qqemu.PhyMemMode", "Qqemu.PhyMemMode:1", "vCont?", "D", "D;1", "k", "!", "qAttached", "qC"),
    *("G00", "P10=00", "s", "C05", "vCont;c", "vCont;s:1;c", "qXfer:features:read::0,0", "vMustReplyEmpty", "R00"),
)


@cache
def served() -> Any:
    from sim_backend.debug.gdb_stub import Stub

    return Stub(Machine(scenario.load("idle"), seed=1))


def served_packet(luck: random.Random) -> None:
    """What `sim --serve` is asked: it answers, whatever it is."""
    packet = luck.choice(REQUESTS)
    if luck.random() < 0.8:
        packet = damaged(packet.encode(), luck, 3).decode("latin-1")
    sent: list[str] = []
    if served().resume(packet) is None:
        answer = served().answer(packet, sent.append)
        assert all(ord(c) < 256 for c in answer), "no byte"


@cache
def server() -> Any:
    from sim_backend.debug.gdb_server import GdbServer

    made = GdbServer(Machine(scenario.load("idle"), seed=1))
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    return made, thread


def served_bytes(luck: random.Random) -> None:
    """Whatever comes to its socket, it goes on to serve the next one."""
    made, thread = server()
    packets = [damaged(p.encode(), luck, 2) if luck.random() < 0.5 else p.encode() for p in luck.choices(REQUESTS, k=3)]
    raw = b"".join(b"+$%s#%02x" % (packet, sum(packet) & 255) for packet in packets)
    host, _, port = made.address.rpartition(":")
    with socket.create_connection((host, int(port)), 2) as client, suppress(ConnectionError):
        client.sendall(damaged(raw, luck, 4) if luck.random() < 0.3 else raw)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    assert thread.is_alive(), "the server has ended"


def mi(luck: random.Random) -> None:
    parsed(damaged(luck.choice(MI), luck, 4))


def monitor_text(luck: random.Random) -> None:
    text = damaged(luck.choice(MONITOR), luck).decode("utf-8", "replace")
    for read in (qemu_text.status, qemu_text.version, qemu_text.flat_view, qemu_text.ioapics, qemu_text.lapic):
        read(text)


MONITOR = (
    b"VM status: paused (prelaunch)\r\n",
    b"7.2.22Debian 1:7.2+dfsg-7\r\n",
    b'FlatView #0\r\n AS "memory", root: system\r\n Root memory region: system\r\n'
    b"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram\r\n"
    b"  00000000000a0000-00000000000bffff (prio 1, i/o): vga\r\n\r\n",
    b"ioapic0: ver=0x20 id=0x00 sel=0x26\r\n  pin 0  0x0000000000010000 dest=0 vec=0   active-hi edge  masked\r\n",
    b"dumping local APIC state for CPU 0\r\n\r\nISR\t (none)\r\nIRR\t 48(level) 49 \r\n",
)


@cache
def dumps() -> list[bytes]:
    names = ("tiny/paging-false.core", "tiny/paging-true.core", "tiny/zlib.kdump")
    packed = [DATA / f"{name}.zst" for name in names]
    return [zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=1 << 30) for path in packed]


def dump(luck: random.Random) -> None:
    raw = luck.choice(dumps())
    head = damaged(raw[:4096], luck)
    opened(head + raw[4096 : luck.choice([len(raw), luck.randrange(len(raw))])], luck, 0.1)


def kdump(luck: random.Random) -> None:
    """The kdump, plain or in blocks of any order."""
    raw = plain_kdump() if luck.random() < 0.5 else flattened(plain_kdump(), luck)
    at = luck.choice([0, 4096, luck.randrange(len(raw))])
    opened(raw[:at] + damaged(raw[at : at + 4096], luck) + raw[at + 4096 :], luck, 0.1)


@cache
def plain_kdump() -> bytes:
    """The kdump is flattened, as `makedumpfile -F` writes it: what it stands for."""
    return unflattened(dumps()[-1])


def memory_changed(luck: random.Random) -> None:
    asked(changed_memory(luck), luck)


def configuration(luck: random.Random) -> None:
    raw = damaged(default().encode(), luck, 4).decode("utf-8", "surrogateescape")
    parse_config(raw, os.path.join("the", "file"))


AREAS: dict[str, Case] = {
    "snapshot": snapshot,
    "snapshot-bytes": snapshot_bytes,
    "console-log": console_log,
    "profile": profile,
    "xen-syms": xen_syms,
    "scenario": scenario_toml,
    "history": saved_history,
    "trace": saved_trace,
    "machine": saved_machine,
    "line": repl_line,
    "address": address,
    "remote-protocol": remote_protocol,
    "qmp": qmp,
    "mi": mi,
    "served-packet": served_packet,
    "served-bytes": served_bytes,
    "monitor-text": monitor_text,
    "dump": dump,
    "kdump": kdump,
    "extents": extents,
    "page-bitmap": page_bitmap,
    "memory": memory_changed,
    "configuration": configuration,
}
