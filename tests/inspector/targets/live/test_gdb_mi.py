"""A machine through a gdb of our own, on the simulated machine's stub. On QEMU: tests/live/test_gdb_mi.py."""

from __future__ import annotations

import shutil
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live.gdb_mi import GAP, LARGEST_SPAN, PIECE, GdbMi, _pieces, _spans
from inspector.targets.live.rsp import Address, Conversation
from inspector.targets.sim.simulation import Simulation
from sim_backend.debug.gdb_server import GdbServer
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@given(st.integers(0, 1 << 52), st.integers(0, 5 * PIECE))
def test_no_command_of_gdbs_takes_long_and_all_is_asked_for(address, size):
    pieces = list(_pieces(address, size))
    assert all(0 < length <= PIECE for _, length in pieces)
    assert sum(length for _, length in pieces) == size
    at = address
    for start, length in pieces:
        assert start == at
        at += length


@given(st.lists(st.tuples(st.integers(0, 1 << 24), st.integers(1, 1 << 16)), max_size=50))
def test_a_span_holds_what_lies_near_and_every_block_is_in_one(blocks):
    spans = list(_spans(sorted(blocks)))
    assert [block for _, within in spans for block in within] == sorted(blocks)
    for (start, whole), within in spans:
        assert all(start <= address and address + size <= start + whole for address, size in within)
        assert whole <= LARGEST_SPAN
        assert start == within[0][0]
        assert whole <= sum(size + GAP for _, size in within)


def test_a_gdb_that_is_not_there_is_one_line():
    with pytest.raises(TargetError, match="no-such-gdb") as caught:
        GdbMi("127.0.0.1:1", gdb="/no-such-gdb")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def stub(unavailable):
    """A simulated machine at rest, and its gdb stub."""
    if not shutil.which("gdb"):
        unavailable("gdb is missing: install the package gdb")
    machine = Machine(load("idle"), seed=1)
    machine.run(1000)
    with GdbServer(machine) as server:
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield machine, server
        server.stop()
        thread.join(10)


@pytest.fixture
def target(stub):
    with GdbMi(stub[1].address) as opened:
        yield opened


@pytest.mark.live
def test_it_reads_what_the_machine_has(target, stub):
    own = Simulation(stub[0])
    place = own.memory()[0].start
    for address, size in ((place, 1), (place + 3, 5), (place + 0xFF0, 0x30), (place, 3 * 4096)):
        assert target.read(address, size) == own.read(address, size)
    assert target.read(place, 0) == b""


@pytest.mark.live
def test_many_parts_at_once_and_what_is_not_there(target, stub):
    own = Simulation(stub[0])
    place = own.memory()[0].start
    nowhere = max(known.end for known in own.memory()) + (1 << 30)
    wanted = [(place, 8), (nowhere, 8), (place + 4096, 16)]
    assert target.read_parts(wanted) == [own.read(place, 8), None, own.read(place + 4096, 16)]
    with pytest.raises(NotReadable):
        target.read(nowhere, 8)


@pytest.mark.live
def test_registers_of_every_cpu(target, stub):
    own = Simulation(stub[0]).cpus()
    assert [cpu.index for cpu in target.cpus()] == [cpu.index for cpu in own]
    for cpu, known in zip(target.cpus(), own, strict=True):
        shared = cpu.registers.keys() & known.registers.keys()
        assert {"rip", "rsp", "cr3"} <= shared
        assert {name: cpu.registers[name] for name in shared} == {name: known.registers[name] for name in shared}


@pytest.mark.live
def test_no_step_is_done_for_it_and_the_mode_is_put_back(stub):
    machine, server = stub
    steps = machine.steps
    for mode in (b"0", b"1"):
        with Conversation(Address.parse(server.address)) as talk:
            assert talk.ask(b"Qqemu.PhyMemMode:" + mode) == b"OK"
        with GdbMi(server.address, resume=False) as opened:
            opened.cpus()
        with Conversation(Address.parse(server.address)) as talk:
            assert talk.ask(b"qqemu.PhyMemMode") == mode
            assert talk.ask(b"Qqemu.PhyMemMode:0") == b"OK"
    assert machine.steps == steps


@pytest.mark.live
def test_a_closed_one_says_so_and_is_closed_twice(stub):
    opened = GdbMi(stub[1].address)
    opened.close()
    opened.close()
    with pytest.raises(TargetError, match="is closed"):
        opened.read(0x1000, 8)


@pytest.mark.live
def test_nobody_or_something_else_listens(unavailable):
    if not shutil.which("gdb"):
        unavailable("gdb is missing: install the package gdb")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        hangs_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hangs_up.start()
        with pytest.raises(TargetError) as caught:
            GdbMi(f"127.0.0.1:{port}", timeout=60)
        hangs_up.join()
        assert "\n" not in str(caught.value)
        assert str(port) in str(caught.value)
    with pytest.raises(TargetError, match="nobody listens at"):
        GdbMi(f"127.0.0.1:{port}", timeout=60)
