"""A machine read from within the gdb that is attached to it: what gdb itself has selected and set stays so."""

from __future__ import annotations

import re

import pytest

from sim_backend.machine.machine import Machine

pytestmark = pytest.mark.live


@pytest.fixture
def machine(laid_out):
    """A simulated machine, laid out as Debian's Xen 4.20, that has run for a while."""
    machine = Machine(laid_out("one-device"), seed=7)
    machine.run(5000)
    return machine


@pytest.mark.parametrize("found", [0, 1])
def test_the_simulations_stub(gdb, machine, server, symbols, cli, tmp_path, found):
    commands = ["info", "vcpus", "irt", "ioapic", "queue", "faults", "regs", "route irte 0x18", "audit"]
    steps = machine.steps
    expected = [cli("live", server.address, "--symbols", symbols, *command.split()) for command in commands]
    documents, out = gdb.json(
        tmp_path,
        commands,
        f"file {symbols}",
        f"target remote {server.address}",
        "thread 2",
        f"maintenance packet Qqemu.PhyMemMode:{found}",
        after=["maintenance packet qqemu.PhyMemMode", "thread", "maintenance packet Qqemu.PhyMemMode:0", "disconnect"],
    )
    assert documents == expected
    assert re.findall(r'received: "(.)"', out) == [str(found)]
    assert "[Current thread is 2" in out
    assert machine.steps == steps


def test_a_machine_that_runs_is_not_read(gdb, served):
    _, err = gdb(f"target remote {served[1]}", "vtdpi blocked", "continue &", "vtdpi irt")
    assert f"vtdpi: QEMU at {served[1]} is running: interrupt it to read it\n" in err


def test_frame_and_thread_stay_selected(gdb, server, symbols):
    out, _ = gdb(
        f"file {symbols}", f"target remote {server.address}", "thread 2", "frame 1", "vtdpi info", "frame", "disconnect"
    )
    before, after = out.split("interrupt remapping")
    frame = re.search(r"^#1 .*", before, re.MULTILINE)
    assert frame
    assert frame[0] in after
