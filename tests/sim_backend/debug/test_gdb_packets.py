"""Packets to a stub of a machine that is none: what is the same for every machine."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sim_backend.debug.gdb_packets import BAD, FAULT, REFUSED, NoSuchMemory, PacketStub

RAM = bytes(range(256)) * 32
"""8 KiB at physical address 0, which Xen maps at VIRTUAL."""
VIRTUAL = 0xFFFF830000000000


class OnlyRead(PacketStub):
    """Two CPUs, and memory that cannot be written."""

    cpus = 2
    crashed = None

    def registers(self, cpu: int) -> Mapping[str, int]:
        return {"rax": cpu}

    def describe(self, cpu: int) -> str:
        return f"number {cpu}"

    def place(self, address: int) -> int:
        if not VIRTUAL <= address < VIRTUAL + len(RAM):
            raise NoSuchMemory
        return address - VIRTUAL

    def read(self, place: int, size: int) -> bytes:
        if place + size > len(RAM):
            raise NoSuchMemory
        return RAM[place : place + size]

    def write(self, pieces: list[tuple[int, int]], data: bytes) -> str:
        return REFUSED

    def point(self, kind: str, address: int, size: int, insert: bool) -> str:
        return f"{kind} {address:x} {size} {insert}"

    def monitor(self, command: str) -> str:
        return "x" * 2500

    def attached(self, running: bool) -> bool:
        return running

    def detached(self, resume: bool) -> None: ...

    def step(self) -> str:
        return self.stop_reply(5)

    def run(self, count: int) -> tuple[str | None, bool]:
        return None, False

    def halt(self) -> None: ...


def ask(stub: PacketStub, packet: str) -> tuple[str, list[str]]:
    sent: list[str] = []
    return stub.answer(packet, sent.append), sent


def test_memory_is_virtual_until_the_mode_is_physical() -> None:
    stub = OnlyRead()
    assert ask(stub, f"m{VIRTUAL + 0x10:x},4")[0] == "10111213"
    assert ask(stub, "m10,4")[0] == FAULT
    assert ask(stub, "Qqemu.PhyMemMode:1")[0] == "OK"
    assert ask(stub, "m10,4")[0] == "10111213"
    assert ask(stub, "qqemu.PhyMemMode")[0] == "1"


def test_what_comes_before_a_hole_is_read() -> None:
    stub = OnlyRead()
    assert ask(stub, f"m{VIRTUAL + len(RAM) - 2:x},10")[0] == "feff"


@pytest.mark.parametrize("packet", ["M", "M10,2:00", "mzz,1", "Hgfff", "p"])
def test_nonsense_is_told(packet: str) -> None:
    assert ask(OnlyRead(), packet)[0] == BAD


def test_each_machine_decides_what_is_written_and_watched() -> None:
    stub = OnlyRead()
    assert ask(stub, f"M{VIRTUAL:x},2:0000")[0] == REFUSED
    assert [ask(stub, packet)[0] for packet in ("G00", "P0=00")] == [REFUSED, REFUSED]
    assert ask(stub, "Z2,1000,8")[0] == "2 1000 8 True"
    assert ask(stub, "z1,20,1")[0] == "1 20 1 False"


def test_cpus_are_threads_from_one_on() -> None:
    stub = OnlyRead()
    assert ask(stub, "qfThreadInfo")[0] == "m01,02"
    assert bytes.fromhex(ask(stub, "qThreadExtraInfo,2")[0]) == b"CPU#1 [number 1]"
    assert ask(stub, "Hg2")[0] == "OK"
    assert ask(stub, "g")[0].startswith("01" + "00" * 7 + "xx")
    assert ask(stub, "T3")[0] == REFUSED
    answer, sent = ask(stub, "qRcmd," + b"info".hex())
    assert answer == "OK"
    assert "".join(bytes.fromhex(each[1:]).decode() for each in sent) == "x" * 2500
