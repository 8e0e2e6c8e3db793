"""Pretty-printers of Xen's structures, by the specification's names."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.live


def test_printers_show_the_specifications_fields(gdb, machine, symbols, cli, tmp_path):
    from sim_backend.debug.elf_core import write_core

    layout = machine.layout
    core = tmp_path / "sim.core"
    write_core(machine, core)
    described = cli("dump", core, "vcpus")["vcpus"][1]["pi"]
    row = next(row for row in cli("dump", core, "irt")["units"][0]["entries"] if row["format"] == "posted")
    vcpu = f"((struct vcpu *){layout.virtual(layout.vcpu(1, 0)):#x})"
    entry = f"*(struct iremap_entry *){layout.virtual(layout.irte(0, row['index'])):#x}"
    out, _ = gdb(
        f"file {symbols}", f"core-file {core}", f"p {vcpu}->arch.hvm.vmx.pi_desc", f"p {entry}", "info pretty-printer"
    )
    assert "global pretty-printers:" in out
    assert re.search(r"vtdpi\n +iremap_entry\n +pi_desc", out)
    lines = re.findall(r"^\$\d = (?:posted = )?{(.*)}$", out, re.MULTILINE)
    shown = [dict(re.findall(r"(\w+) = ({[^}]*}|\w+)", line)) for line in lines]
    assert {name: int(shown[0][name], 0) for name in ("on", "sn", "nv", "ndst")} == {
        name: described[name] for name in ("on", "sn", "nv", "ndst")
    }
    assert [int(vector, 0) for vector in re.findall(r"0x\w+", shown[0]["pir"])] == described["pir"]
    assert "$2 = posted = {" in out
    assert {name: int(shown[1][name], 0) for name in ("vector", "pda", "sid", "urg")} == {
        name: row[name] for name in ("vector", "pda", "sid", "urg")
    }
