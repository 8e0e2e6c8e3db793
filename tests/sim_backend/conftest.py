"""A small machine that moves, and its gdb server in a thread."""

from __future__ import annotations

import threading
from typing import NamedTuple

import pytest

from sim_backend.gdbserver import GdbServer
from sim_backend.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig

PIR, ON, NV = 0, 256, 34


class Happened(NamedTuple):
    actor: str


class Blocker:
    """CPU 0 blocks d1v0 again and again, three steps each time, and a device posts a vector in between.

    It does what gdb can see of `vmx_vcpu_block`, no more: NV := wakeup vector, then back.
    """

    def __init__(self, rounds=10**9):
        self.layout = Layout(
            LayoutConfig(cpus=2, domains=(DomainConfig(1, 2),), devices=(DeviceConfig(0x0018, 1, domain=1),))
        )
        self.rounds = rounds
        self.crashed = None
        self.done = 0

    @property
    def descriptor(self):
        return self.layout.pi_desc(1, 0)

    def where(self, cpu):
        if cpu:
            return "guest"
        return ("idle", "vmx_vcpu_block", "vmx_vcpu_block+1", "vmx_pi_do_resume")[self.done % 4]

    def step(self):
        if self.done == self.rounds * 4:
            return None
        memory, number = self.layout.memory, self.done % 4
        if number == 1:
            memory.set_u8(self.descriptor + NV, self.layout.config.pi_wakeup_vector)
        elif number == 2:
            memory.test_and_set_bit(self.descriptor, 0x61)
        elif number == 3:
            memory.set_u8(self.descriptor + NV, self.layout.config.posted_intr_vector)
        self.done += 1
        return Happened("CPU 0" if number != 2 else "VT-d unit 0")


@pytest.fixture
def blocker():
    return Blocker()


@pytest.fixture(scope="session")
def resting():
    """A machine with nothing to do."""
    return Blocker(0)


@pytest.fixture
def serve():
    """Call it with a machine for its server, which serves until the test ends."""
    servers = []

    def start(machine, **options):
        server = GdbServer(machine, **options)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()
        server.close()
