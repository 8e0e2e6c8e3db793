"""Machines that move, and their gdb servers in threads."""

from __future__ import annotations

import threading

import pytest

from inspector.api.pytest_plugin import vtdpi_sim  # noqa: F401 - a fixture; installed, it comes by the entry point
from sim_backend.debug.gdb_server import GdbServer
from sim_backend.layout.layout import LayoutConfig
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    """Two CPUs, and a guest of two vCPUs that blocks, wakes and is interrupted by a device."""
    return Machine(load("one-device"), seed=7)


@pytest.fixture(scope="session")
def resting():
    """A machine with nothing to do."""
    machine = Machine(LayoutConfig())
    machine.settle()
    return machine


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
