"""A real gdb, and vtdpi's own live target, on the simulated machine's gdb stub."""

from __future__ import annotations

import re
import subprocess

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.sim.simulation import Simulation
from inspector.vtd.remapping import read
from inspector.xen.percpu import online
from sim_backend.machine.machine import Machine
from sim_backend.machine.registers import registers

pytestmark = pytest.mark.live


@pytest.fixture
def machine(laid_out):
    """Two CPUs, and a guest of two vCPUs that blocks, wakes and is interrupted by a device, with a posted entry."""
    machine = Machine(laid_out("one-device"), seed=7)
    machine.run(5000)
    return machine


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
        f"break vmx_vcpu_block if $_thread == {vcpu}->processor + 1 && {vcpu}->is_running",
        "continue",
        f"p/x {vcpu}->arch.hvm.vmx.pi_desc.nv",
        f"p {vcpu}->pause_flags & 1",
        "delete 1",
        f"watch {vcpu}->arch.hvm.vmx.pi_desc.nv",
        "continue",
        "continue",
    )
    assert said.count("hit Breakpoint 1, vmx_vcpu_block") == 1
    assert re.findall(r"^\$\d = (\w+)", said, re.MULTILINE) == ["0xf2", "1"]
    assert re.findall(r"(?:Old|New) value = (\d+)", said) == ["242", "243", "243", "242"]
    # The block hook sets the wakeup vector, and this one the notification vector before VM entry.
    assert any(machine.where(cpu).startswith("vmx_pi_unblock_vcpu") for cpu in range(2))


def test_gdb_reads_registers_threads_monitor_and_both_kinds_of_address(gdb, machine):
    layout = machine.layout
    physical = layout.pi_desc(1, 0) + 32
    steps = machine.steps
    control = layout.memory.u64(physical)
    said = gdb(
        "info threads",
        "p/x $cr3",
        "p/x $rip",
        "p $rax",
        "x/s saved_cmdline",
        "monitor info status",
        "maintenance packet Qqemu.PhyMemMode:1",
        f"x/gx {physical:#x}",
        "maintenance packet Qqemu.PhyMemMode:0",
    )
    expected = registers(machine, 0)
    assert f"Thread 2 (CPU#1 [{machine.where(1)}])" in said
    assert f"$1 = {expected['cr3']:#x}" in said
    assert f"$2 = {expected['rip']:#x}" in said
    assert "$3 = <unavailable>" in said
    assert '"iommu=verbose,intpost"' in said
    assert "VM status: paused" in said
    assert f"{physical:#x}:\t0x{control:016x}" in said
    assert machine.steps == steps


def test_gdb_steps_one_action_at_a_time(gdb, machine):
    steps = machine.steps
    gdb("stepi", "stepi", "stepi")
    assert machine.steps == steps + 3


def test_vtdpi_live_reads_what_the_simulation_target_reads(server, machine):
    steps = machine.steps
    with GdbMi(server.address) as live:
        here = Simulation(machine)
        assert [cpu.registers["cr3"] for cpu in live.cpus()] == [cpu.registers["cr3"] for cpu in here.cpus()]
        assert live.ioapics() == here.ioapics()
        assert live.found_running is False
        looks = Inspection(live), Inspection(here)
        for there, direct in zip(looks[0].unit_readers, looks[1].unit_readers, strict=True):
            found = read(live, there.table, "there"), read(here, direct.table, "here")
            assert (found[0].raw == found[1].raw).all()
            assert there.window == direct.window
        assert looks[0].host_msis == looks[1].host_msis
        assert looks[0].xen
        assert looks[1].xen
        assert online(looks[0].xen) == online(looks[1].xen)
        assert not [*looks[0].absent, *looks[0].notes]
    assert machine.steps == steps


def test_vtdpi_live_sees_state_change_while_the_machine_runs(server, machine):
    with GdbMi(server.address) as live:
        seen = set()
        for _ in range(60):
            seen.add(live.read(machine.layout.pi_desc(1, 0) + 34, 1)[0])
            steps = machine.steps
            live.cont()
            live.stop()
            assert machine.steps > steps
        assert seen == {0xF2, 0xF3}
