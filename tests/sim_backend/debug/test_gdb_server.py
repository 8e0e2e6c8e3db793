"""The gdb stub, byte for byte on its socket."""

from __future__ import annotations

import random
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.live import qemu_text, rsp
from sim_backend.debug.gdb_monitor import answer
from sim_backend.debug.gdb_registers import REGISTERS, target_description
from sim_backend.debug.gdb_server import GdbServer
from sim_backend.debug.gdb_stub import Stub
from sim_backend.machine.registers import registers
from sim_backend.memory.errors import SimError
from structs.ioapic import RTE


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
def line(connect, machine):
    return connect(machine)


def test_memory_is_xens_virtual_one_unless_the_mode_is_physical(line, machine):
    layout = machine.layout
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


def test_the_mode_outlives_the_connection(serve, machine):
    server = serve(machine)
    first = Line(server)
    assert first.ask("Qqemu.PhyMemMode:1") == "OK"
    first.socket.close()
    second = Line(server)
    assert second.ask("qqemu.PhyMemMode") == "1"
    second.socket.close()


def test_memory_can_be_written(line, machine):
    address = machine.layout.virtual(machine.layout.pi_desc(1, 1))
    assert line.ask(f"M{address:x},2:0203") == "OK"
    assert line.ask(f"m{address:x},2") == "0203"
    assert line.ask(f"M{address:x},3:0203") == "E16"
    assert line.ask("M10,1:00") == "E0e"


def test_registers_of_each_cpu(line, machine):
    machine.run(1000)
    names = [name for name, _, _ in REGISTERS]

    def ask(name):
        digits = line.ask(f"p{names.index(name):x}")
        return None if "x" in digits else int.from_bytes(bytes.fromhex(digits), "little")

    for cpu in range(2):
        assert line.ask(f"Hg{cpu + 1:02x}") == "OK"
        expected = registers(machine, cpu)
        assert {name: ask(name) for name in ("rip", "cr3", "rsp", "cs", "efer", "rax")} == {
            **{name: expected[name] for name in ("rip", "cr3", "rsp", "cs", "efer")},
            "rax": None,
        }
        assert len(line.ask("g")) == sum(bits for _, bits, _ in REGISTERS) // 4
        assert bytes.fromhex(line.ask(f"qThreadExtraInfo,{cpu + 1:x}")).decode() == f"CPU#{cpu} [{machine.where(cpu)}]"
    assert line.ask("pff") == line.ask("Hg09") == "E16"
    assert line.ask("qfThreadInfo") == "m01,02"


def test_the_target_description_comes_in_pieces(line):
    text = line.ask("qXfer:features:read:target.xml:0,100")
    assert text[0] == "m"
    whole = text[1:]
    while text[0] == "m":
        text = line.ask(f"qXfer:features:read:target.xml:{len(whole):x},100")
        whole += text[1:]
    assert whole.encode() == target_description()
    assert line.ask("qXfer:features:read:other.xml:0,100") == "E00"


def steps_until(machine, happened):
    """The number of the first step after which `happened(machine)` holds."""
    while not happened(machine):
        assert machine.step()
    return machine.steps


@pytest.mark.parametrize("hook", ["vmx_vcpu_block", "pi_wakeup_interrupt", "vmx_pi_do_resume"])
def test_a_breakpoint_is_hit_whenever_a_cpu_enters_the_function(line, machine, hook):
    twin = machine.copy()
    # The compiler has put it into that one.
    host = "vmx_vmenter_helper" if hook == "vmx_pi_do_resume" else hook
    entries = {host, hook}
    assert line.ask(f"Z0,{machine.layout.profile.symbol(host):x},1") == "OK"
    for _ in range(5):
        assert twin.step()
        steps = steps_until(twin, lambda m: m.entered and m.entered[1] in entries)
        cpu = int(twin.entered[0].removeprefix("CPU "))
        assert line.ask("vCont;c:-1") == f"T05swbreak:;thread:{cpu + 1:02x};"
        assert machine.steps == steps
        assert machine.where(cpu) in entries
    # As gdb goes on: over the breakpoint by one step.
    assert line.ask(f"vCont;s:{cpu + 1:x};c").startswith("T05")
    assert machine.steps > steps
    assert line.ask(f"z0,{machine.layout.profile.symbol(host):x},1") == "OK"


@pytest.mark.parametrize("physical", [False, True])
def test_a_watchpoint_is_hit_by_each_store(line, machine, physical):
    layout = machine.layout
    control = layout.pi_desc(1, 0) + 32
    named = control if physical else layout.virtual(control)
    expected, stores = [], []
    twin = machine.copy()
    twin.memory.observer = lambda address, size, old, new: stores.append((address, size))
    while len(expected) < 5:
        stores.clear()
        assert twin.step()
        expected += [(twin.steps, max(at, control)) for at, size in stores if at < control + 8 and at + size > control]
    line.ask(f"Qqemu.PhyMemMode:{physical:d}")
    assert line.ask(f"Z2,{named:x},8") == "OK"
    for steps, address in expected:
        assert line.ask("vCont;c").startswith(f"T05watch:{named + address - control:x};thread:")
        assert machine.steps == steps
    assert line.ask(f"z2,{named:x},8") == "OK"
    assert layout.memory.observer is None
    assert line.ask("Z3,0,8") == line.ask("Z4,0,8") == ""


def test_it_runs_until_it_is_interrupted(line, machine, eventually):
    line.send("c")
    eventually(lambda: machine.steps > 100)
    line.socket.sendall(b"\x03")
    assert line.receive() == "T02thread:01;"
    steps = machine.steps
    assert line.ask("?") == "T05thread:01;"
    assert machine.steps == steps


def test_a_machine_at_rest_waits_for_the_interrupt(connect, resting):
    steps = resting.steps
    line = connect(resting)
    line.send("c")
    time.sleep(0.1)
    line.socket.sendall(b"\x03")
    assert line.receive() == "T02thread:01;"
    assert resting.steps == steps


def test_it_runs_after_a_detach_and_stops_at_the_next_arrival(serve, machine, eventually):
    server = serve(machine)
    first = Line(server)
    assert first.ask("D;1") == "OK"
    first.socket.close()
    eventually(lambda: machine.steps > 1000)
    second = Line(server)
    assert second.receive() == "T02thread:01;"
    steps = machine.steps
    assert second.ask("?") == "T05thread:01;"
    assert machine.steps == steps
    second.socket.close()


@pytest.mark.parametrize("running", [False, True])
def test_probing_finds_the_run_state(serve, machine, running):
    server = serve(machine, running=running)
    address = rsp.Address.parse(server.address)
    assert rsp.probe(address) == rsp.Found(running, False)
    rsp.restore(address, physical=True, resume=running)
    assert rsp.probe(address) == rsp.Found(running, True)


def test_the_monitor_speaks_as_qemu(machine):
    layout = machine.layout
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
def test_no_packet_is_a_traceback(resting, packet):
    stub = Stub(resting)
    sent = []
    assert isinstance(stub.answer(packet, sent.append), str)
    assert stub.resume(packet) in (None, True, False)


def test_a_crash_is_told(line, machine):
    head = machine.layout.percpu(1, "vmx_pi_blocking")
    for word in (head, head + 8):
        assert line.ask(f"M{machine.layout.virtual(word):x},8:{'41' * 8}") == "OK"
    assert line.ask("vCont;c")[:1] == "O"
    assert line.receive().startswith("T06")
    assert machine.crashed
    assert "4141" in machine.crashed


def test_random_bytes_end_at_most_their_own_connection(serve, machine):
    server = serve(machine)
    generator = random.Random(1)
    for _ in range(30):
        line = Line(server)
        line.socket.sendall(generator.randbytes(generator.randrange(1, 60000)))
        line.socket.close()
    line = Line(server)
    assert line.ask("qqemu.PhyMemMode") in ("0", "1")
    line.socket.close()


def test_only_loopback_addresses_are_served(machine):
    with pytest.raises(SimError, match="not a loopback"):
        GdbServer(machine, "0.0.0.0")
    with pytest.raises(SimError, match="cannot be listened on"):
        GdbServer(machine, "nowhere")
    with GdbServer(machine) as server, pytest.raises(SimError, match="another port"):
        GdbServer(machine, port=int(server.address.rpartition(":")[2]))
