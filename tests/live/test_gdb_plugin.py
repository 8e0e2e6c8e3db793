"""vtdpi inside real gdbs, Debian 12's and 13's: the same JSON as the command line's, and nothing left behind."""

from __future__ import annotations

import pytest

from inspector.lab.machine import Recipe
from inspector.targets.live.qmp import Qmp
from inspector.targets.live.rsp import Address, Conversation

pytestmark = pytest.mark.live


def mode(address):
    with Conversation(Address.parse(address)) as stub:
        return stub.ask(b"qqemu.PhyMemMode")


def test_a_live_xen(gdb, labs, symbols, cli, tmp_path):
    lab = labs(Recipe(xen="4.20"))
    commands = [
        "info",
        "irt",
        "irte 1",
        "regs",
        "queue",
        "faults",
        "dmar",
        "ioapic",
        "vcpus",
        "route ioapic 1",
        "audit",
    ]
    with Qmp(lab.control) as qmp:
        qmp.execute("stop")
        expected = [cli("live", lab.gdb, "--symbols", symbols, *command.split()) for command in commands]
        documents, _ = gdb.json(tmp_path, commands, f"file {symbols}", f"target remote {lab.gdb}", after=["disconnect"])
        assert not qmp.execute("query-status")["running"]
        assert mode(lab.gdb) == b"0"
        qmp.execute("cont")
    assert documents == expected
    assert len(documents[1]["units"][0]["entries"]) == 24


def test_ctrl_c_leaves_mode_and_machine_as_found(gdb, labs, symbols):
    lab = labs(Recipe(xen="4.20"))
    with Qmp(lab.control) as qmp:
        qmp.execute("stop")
    child = gdb.terminal(f"file {symbols}", f"target remote {lab.gdb}", "set pagination off", "vtdpi info")
    interrupted = 0
    for delay in range(12):
        child.sendline("vtdpi irt")
        child.expect("\n")
        # What makes the time vary, so that Ctrl-C comes at various places.
        child.delaybeforesend = 0.01 * delay
        child.sendintr()
        child.expect(child.prompt)
        interrupted += "interrupted" in child.before
        assert "not responding" not in child.before
        child.delaybeforesend = 0.05
        child.sendline("echo drained\\n")
        child.expect("[\r\n]drained")
        child.expect(child.prompt)
        child.sendline("maintenance packet qqemu.PhyMemMode")
        child.expect('received: "(.)"')
        assert child.match[1] == "0"
        child.expect(child.prompt)
    assert interrupted
    child.sendline("vtdpi irt --posted")
    child.expect("24 present")
    child.expect(child.prompt)
    child.sendline("disconnect")
    child.expect(child.prompt)
    child.close(force=True)
    with Qmp(lab.control) as qmp:
        assert not qmp.execute("query-status")["running"]
        qmp.execute("cont")
