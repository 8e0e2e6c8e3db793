"""A real gdb, and vtdpi's own live target, on the simulated machine's gdb stub."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from typing import NamedTuple

import pytest

from inspector.lab import Missing
from inspector.lab.xen import debian
from inspector.look import Look
from inspector.remapping import read
from inspector.targets.gdb_mi import GdbMi
from inspector.targets.simulation import Simulation
from inspector.xen.cpus import online
from sim_backend.gdbserver import GdbServer
from sim_backend.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig

pytestmark = pytest.mark.live


class Happened(NamedTuple):
    actor: str


class Blocker:
    """CPU 0 blocks d1v0 again and again: NV := wakeup vector in vmx_vcpu_block, and back before VM entry."""

    def __init__(self):
        devices = (DeviceConfig(0x0018, 1, domain=1),)
        self.layout = Layout(LayoutConfig(cpus=2, domains=(DomainConfig(1, 2),), devices=devices))
        self.layout.post_msi(self.layout.device(0x0018).msis[0], 1, 0, 0x61)
        self.nv = self.layout.pi_desc(1, 0) + 34
        self.done = 0
        self.crashed = None

    def where(self, cpu):
        return "guest" if cpu else ("idle", "vmx_vcpu_block", "vmx_vcpu_block+1", "vmx_pi_do_resume")[self.done % 4]

    def step(self):
        number, config = self.done % 4, self.layout.config
        if number in (1, 3):
            self.layout.memory.set_u8(self.nv, config.pi_wakeup_vector if number == 1 else config.posted_intr_vector)
        self.done += 1
        return Happened("CPU 0")


@pytest.fixture
def machine():
    return Blocker()


@pytest.fixture
def server(machine):
    if not shutil.which("gdb"):
        _unavailable("gdb is missing: install the package gdb")
    with GdbServer(machine) as server:
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        server.stop()
        thread.join(10)


@pytest.fixture(scope="session")
def symbols():
    """Debian's xen-syms 4.20, which has DWARF."""
    try:
        return debian("4.20", print).symbols
    except Missing as error:
        _unavailable(str(error))


def _unavailable(why):
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def gdb(symbols, server):
    """Call it with gdb commands for what gdb prints, connected to the stub."""

    def run(*commands):
        first = ("set architecture i386:x86-64", f"target remote {server.address}")
        words = [word for command in (*first, *commands, "disconnect") for word in ("-ex", command)]
        done = subprocess.run(
            ["gdb", "-nx", "-batch", str(symbols), *words], capture_output=True, text=True, timeout=60
        )
        errors = [line for line in done.stderr.splitlines() if not re.search("No such file|VM status", line)]
        assert not errors
        return done.stdout + done.stderr

    return run


def test_gdb_stops_at_a_hook_and_sees_the_descriptor_change(gdb, machine):
    vcpu = f"((struct vcpu *){machine.layout.virtual(machine.layout.vcpu(1, 0)):#x})"
    said = gdb(
        "break vmx_vcpu_block",
        "continue",
        "continue",
        f"p/x {vcpu}->arch.hvm.vmx.pi_desc.nv",
        "delete 1",
        f"watch {vcpu}->arch.hvm.vmx.pi_desc.nv",
        "continue",
        "continue",
        f"p/x {vcpu}->arch.hvm.vmx.pi_desc.nv",
    )
    assert said.count("hit Breakpoint 1, vmx_vcpu_block") == 2
    assert re.findall(r"(?:Old|New) value = (\d+)", said) == ["242", "243", "243", "242"]
    assert re.findall(r"\$\d = (0x\w+)", said) == ["0xf2", "0xf2"]
    assert machine.done == 8


def test_gdb_reads_registers_threads_monitor_and_both_kinds_of_address(gdb, machine):
    layout = machine.layout
    physical = layout.pi_desc(1, 0) + 32
    said = gdb(
        "info threads",
        "p/x $cr3",
        "p $rip == &default_idle",
        "p $rax",
        "x/s saved_cmdline",
        "monitor info status",
        "maintenance packet Qqemu.PhyMemMode:1",
        f"x/gx {physical:#x}",
        "maintenance packet Qqemu.PhyMemMode:0",
        "stepi",
    )
    assert re.search(r"Thread 2 \(CPU#1 \[guest\]\)", said)
    assert f"$1 = {layout.symbol('idle_pg_table'):#x}" in said
    assert "$2 = 1" in said
    assert "$3 = <unavailable>" in said
    assert '"iommu=verbose,intpost"' in said
    assert "VM status: paused" in said
    assert f"{physical:#x}:\t0x{layout.memory.u64(physical):016x}" in said
    assert machine.done == 1


def test_vtdpi_live_reads_what_the_simulation_target_reads(server, machine):
    with GdbMi(server.address) as live:
        here = Simulation(machine)
        assert [cpu.registers["cr3"] for cpu in live.cpus()] == [cpu.registers["cr3"] for cpu in here.cpus()]
        assert live.ioapics() == here.ioapics()
        assert live.found_running is False
        looks = Look(live), Look(here)
        for there, direct in zip(looks[0].units, looks[1].units, strict=True):
            assert (read(there).raw == read(direct).raw).all()
            assert there.window == direct.window
        assert looks[0].xen_msis == looks[1].xen_msis
        assert looks[0].xen
        assert looks[1].xen
        assert online(looks[0].xen) == online(looks[1].xen)
        assert not [*looks[0].problems, *looks[0].notes]
    assert machine.done == 0


def test_vtdpi_live_sees_state_change_while_the_machine_runs(server, machine):
    with GdbMi(server.address) as live:
        seen = set()
        for _ in range(40):
            seen.add(live.read(machine.nv, 1)[0])
            done = machine.done
            live.cont()
            live.stop()
            assert machine.done > done
        assert seen == {0xF2, 0xF3}
