"""The gdb stub, byte for byte on its socket."""

from __future__ import annotations

import random
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.targets import qemu_text, rsp
from sim_backend.errors import SimError
from sim_backend.gdb_monitor import answer
from sim_backend.gdb_registers import REGISTERS, target_description
from sim_backend.gdb_stub import Stub
from sim_backend.gdbserver import GdbServer
from structs.ioapic import RTE

NV = 34


class Line:
    """One connection that speaks packets."""

    def __init__(self, server):
        host, _, port = server.address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.rest = b""

    def send(self, packet):
        self.socket.sendall(b"$%s#%02x" % (packet.encode(), sum(packet.encode()) & 0xFF))

    def receive(self):
        while b"#" not in self.rest or len(self.rest.partition(b"#")[2]) < 2:
            data = self.socket.recv(65536)
            assert data, "the server has closed the connection"
            self.rest += data
        body, _, tail = self.rest.partition(b"#")
        assert int(tail[:2], 16) == sum(body.lstrip(b"+-")[1:]) & 0xFF
        self.rest = tail[2:]
        self.socket.sendall(b"+")
        return body.lstrip(b"+-")[1:].decode()

    def ask(self, packet):
        self.send(packet)
        return self.receive()


@pytest.fixture
def connect(serve):
    lines = []

    def open_line(machine, **options):
        lines.append(Line(serve(machine, **options)))
        return lines[-1]

    yield open_line
    for line in lines:
        line.socket.close()


@pytest.fixture
def line(connect, blocker):
    return connect(blocker)


def test_memory_is_xens_virtual_one_unless_the_mode_is_physical(line, blocker):
    layout = blocker.layout
    physical = layout.pi_desc(1, 0)
    expected = layout.memory.read(physical, 64).hex()
    assert line.ask(f"m{layout.virtual(physical):x},40") == expected
    note = layout.profile.symbol("__note_gnu_build_id_start")
    assert bytes.fromhex(line.ask(f"m{note + 16:x},14")).hex() == layout.profile.build_id
    assert line.ask(f"m{physical:x},40") == "E0e"
    assert (line.ask("qqemu.PhyMemMode"), line.ask("Qqemu.PhyMemMode:1"), line.ask("qqemu.PhyMemMode")) == (
        "0",
        "OK",
        "1",
    )
    assert line.ask(f"m{physical:x},40") == expected
    assert line.ask("mfed900b8,8") == layout.memory.read(layout.register(0, "IRTA"), 8).hex()
    assert line.ask(f"m{layout.lapic(0):x},8") == "E0e"
    end = layout.memory.size
    assert line.ask(f"m{end - 4:x},8") == "00" * 4


def test_the_mode_outlives_the_connection(serve, blocker):
    server = serve(blocker)
    first = Line(server)
    assert first.ask("Qqemu.PhyMemMode:1") == "OK"
    first.socket.close()
    second = Line(server)
    assert second.ask("qqemu.PhyMemMode") == "1"
    second.socket.close()


def test_memory_can_be_written(line, blocker):
    address = blocker.layout.virtual(blocker.layout.pi_desc(1, 1))
    assert line.ask(f"M{address:x},2:0203") == "OK"
    assert line.ask(f"m{address:x},2") == "0203"
    assert line.ask(f"M{address:x},3:0203") == "E16"
    assert line.ask("M10,1:00") == "E0e"


def test_registers_of_each_cpu(line, blocker):
    layout = blocker.layout
    names = [name for name, _, _ in REGISTERS]
    assert line.ask("Hg01") == "OK"
    whole = line.ask("g")
    assert len(whole) == sum(bits for _, bits, _ in REGISTERS) // 4
    rip = int.from_bytes(bytes.fromhex(line.ask(f"p{names.index('rip'):x}")), "little")
    cr3 = int.from_bytes(bytes.fromhex(line.ask(f"p{names.index('cr3'):x}")), "little")
    assert (rip, cr3) == (layout.profile.symbol("default_idle"), layout.symbol("idle_pg_table"))
    assert line.ask(f"p{names.index('rax'):x}") == "x" * 16
    assert line.ask("Hg02") == "OK"
    assert line.ask(f"p{names.index('cr3'):x}") == "00" * 8
    assert line.ask("pff") == line.ask("Hg09") == "E16"
    assert line.ask("qfThreadInfo") == "m01,02"
    assert bytes.fromhex(line.ask("qThreadExtraInfo,2")) == b"CPU#1 [guest]"


def test_the_target_description_comes_in_pieces(line):
    text = line.ask("qXfer:features:read:target.xml:0,100")
    assert text[0] == "m"
    whole = text[1:]
    while text[0] == "m":
        text = line.ask(f"qXfer:features:read:target.xml:{len(whole):x},100")
        whole += text[1:]
    assert whole.encode() == target_description()
    assert line.ask("qXfer:features:read:other.xml:0,100") == "E00"


def test_a_breakpoint_is_hit_on_entry_and_once(line, blocker):
    address = blocker.layout.profile.symbol("vmx_vcpu_block")
    assert line.ask(f"Z0,{address:x},1") == "OK"
    for entry in (1, 5):
        assert line.ask("vCont;c:-1") == "T05swbreak:;thread:01;"
        assert blocker.done == entry
    # As gdb goes on: over the breakpoint by one step, then on.
    assert line.ask("vCont;s:1;c") == "T05thread:01;"
    assert blocker.done == 6
    assert line.ask(f"z0,{address:x},1") == "OK"


def test_a_function_that_the_compiler_inlined_has_the_address_of_its_host(line, blocker):
    host = blocker.layout.profile.symbol("vmx_vmenter_helper")
    assert line.ask(f"Z1,{host:x},1") == "OK"
    assert line.ask("c") == "T05hwbreak:;thread:01;"
    assert blocker.where(0) == "vmx_pi_do_resume"


@pytest.mark.parametrize("physical", [False, True])
def test_a_watchpoint_is_hit_by_a_store(line, blocker, physical):
    layout = blocker.layout
    control = blocker.descriptor + 32
    named = control if physical else layout.virtual(control)
    line.ask(f"Qqemu.PhyMemMode:{physical:d}")
    assert line.ask(f"Z2,{named:x},8") == "OK"
    for value in (0xF3, 0xF2):
        assert line.ask("vCont;c") == f"T05watch:{named + 2:x};thread:01;"
        assert layout.memory.u8(blocker.descriptor + NV) == value
    assert line.ask(f"z2,{named:x},8") == "OK"
    assert layout.memory.observer is None
    assert line.ask("Z3,0,8") == line.ask("Z4,0,8") == ""


def test_it_runs_until_it_is_interrupted(line, blocker):
    line.send("c")
    time.sleep(0.1)
    line.socket.sendall(b"\x03")
    assert line.receive() == "T02thread:01;"
    done = blocker.done
    assert done > 100
    assert line.ask("?") == "T05thread:01;"
    assert blocker.done == done


def test_a_machine_at_rest_waits_for_the_interrupt(connect, blocker):
    blocker.rounds = 2
    line = connect(blocker)
    line.send("c")
    time.sleep(0.1)
    line.socket.sendall(b"\x03")
    assert line.receive() == "T02thread:01;"
    assert blocker.done == 8


def test_it_runs_after_a_detach_and_stops_at_the_next_arrival(serve, blocker):
    server = serve(blocker)
    first = Line(server)
    assert first.ask("D;1") == "OK"
    first.socket.close()
    deadline = time.monotonic() + 5
    while blocker.done < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = Line(server)
    assert second.receive() == "T02thread:01;"
    done = blocker.done
    assert second.ask("?") == "T05thread:01;"
    assert blocker.done == done
    second.socket.close()


@pytest.mark.parametrize("running", [False, True])
def test_probing_finds_the_run_state(serve, blocker, running):
    server = serve(blocker, running=running)
    address = rsp.Address.parse(server.address)
    assert rsp.probe(address) == rsp.Found(running, False)
    rsp.restore(address, physical=True, resume=running)
    assert rsp.probe(address) == rsp.Found(running, True)


def test_the_monitor_speaks_as_qemu(blocker):
    layout = blocker.layout
    assert qemu_text.status(answer(layout, "info status")) == "paused"
    assert qemu_text.version(answer(layout, "info version")) == (7, 2, 0)
    view = qemu_text.flat_view(answer(layout, "info mtree -f"))
    assert view is not None
    assert [(r.start, r.end) for r in view.ram()] == [(0, layout.memory.size)]
    assert view.first_hole(0xFED9_0000, 0x1000) is None
    (ioapic,) = qemu_text.ioapics(answer(layout, "info  pic")) or ()
    entry = RTE.parse(ioapic.redirection[3].to_bytes(8, "little"))
    assert (len(ioapic.redirection), entry["index"], entry["format"]) == (24, 3, 1)
    assert answer(layout, "quit") == "unknown command: 'quit'\r\n"


def test_damaged_packets_are_asked_for_again(line):
    line.socket.sendall(b"junk$qC#00")
    assert line.socket.recv(1) == b"-"
    assert line.ask("qC") == "QC01"
    line.socket.sendall(b"-")
    assert line.receive() == "QC01"
    line.socket.sendall(b"$q")
    line.socket.sendall(b"C#b")
    line.socket.sendall(b"4")
    assert line.receive() == "QC01"


@given(
    packet=st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=40),
        st.from_regex(r"[mMpZzHTvqQ][0-9a-f,:;]{0,12}", fullmatch=True),
    )
)
@settings(max_examples=200, deadline=None)
def test_no_packet_is_a_traceback(resting, packet):
    stub = Stub(resting)
    sent = []
    assert isinstance(stub.answer(packet, sent.append), str)
    assert stub.resume(packet) in (None, True, False)


def test_a_crash_is_told(connect, blocker):
    blocker.rounds, blocker.crashed = 1, "CPU 0: vcpu_block: a pointer leads nowhere"
    line = connect(blocker)
    assert "pointer leads nowhere" in bytes.fromhex(line.ask("c")[1:]).decode()
    assert line.receive() == "T06thread:01;"


def test_random_bytes_end_at_most_their_own_connection(serve, blocker):
    server = serve(blocker)
    generator = random.Random(1)
    for _ in range(30):
        line = Line(server)
        line.socket.sendall(generator.randbytes(generator.randrange(1, 60000)))
        line.socket.close()
    line = Line(server)
    assert line.ask("qqemu.PhyMemMode") in ("0", "1")
    line.socket.close()


def test_only_loopback_addresses_are_served(blocker):
    with pytest.raises(SimError, match="not a loopback"):
        GdbServer(blocker, "0.0.0.0")
    with pytest.raises(SimError, match="cannot be listened on"):
        GdbServer(blocker, "nowhere")
    with GdbServer(blocker) as server, pytest.raises(SimError, match="another port"):
        GdbServer(blocker, port=int(server.address.rpartition(":")[2]))
