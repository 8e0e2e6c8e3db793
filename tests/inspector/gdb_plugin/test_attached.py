"""What gdb is attached to, in Debian 12's and 13's: the same JSON as the command line's."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.live


DUMPED = ("info", "vcpus", "blocked", "audit", "pi d1v0", "dmar")


@pytest.mark.parametrize("name", ["lost-wakeup", "xapic-4-cpus"])
def test_a_real_capture(gdb, golden, symbols, cli, tmp_path, name):
    core = golden(name)
    commands = [command for command in DUMPED if command != "dmar"]
    documents, _ = gdb.json(tmp_path, commands, f"core-file {core}")
    assert documents == [cli("dump", core, *command.split()) for command in commands]
    assert any(vcpu["pi"] for vcpu in documents[1]["vcpus"])
    # Debian's xen-syms of the day need not be those of the capture: that is told, or makes no difference.
    documents, _ = gdb.json(tmp_path, commands, f"file {symbols}", f"core-file {core}")
    assert documents == [cli("dump", core, "--symbols", symbols, *command.split()) for command in commands]


def test_a_simulated_machines_core_with_and_without_symbols(gdb, machine, symbols, cli, tmp_path):
    from sim_backend.debug.elf_core import write_core

    core = tmp_path / "sim.core"
    write_core(machine, core)
    commands = [*DUMPED, "irt", "irte 0x18", "regs", "route irte 0x18"]
    expected = [cli("dump", core, *command.split()) for command in commands]
    for before in ([f"core-file {core}"], [f"file {symbols}", f"core-file {core}"]):
        answers = gdb.json(tmp_path, commands, *before)[0]
        assert [in_a_session(answer, alone) for answer, alone in zip(answers, expected, strict=True)] == expected


def in_a_session(answer, alone):
    """An answer without what earlier commands of the session found absent: what it has of that is at least its own."""
    absent, own = answer.pop("absent", []), alone.get("absent", [])
    assert [each for each in own if each not in absent] == []
    return {**answer, "absent": own} if own else answer


def test_a_machine_that_dies_is_one_line(gdb, served):
    process, address = served
    out, err = gdb(
        f"target remote {address}", "vtdpi blocked", f"shell kill -9 {process.pid}; sleep 0.2", "vtdpi irt", "vtdpi irt"
    )
    assert "online" in out
    lines = [line for line in err.splitlines() if line.startswith("vtdpi: ")]
    assert len(lines) == 2
    assert "is gone" in lines[0] or "onnection" in lines[0]
    assert "attached to nothing" in lines[1]
