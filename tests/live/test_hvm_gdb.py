"""A real gdb, and vtdpi through it, on a machine in Bochs behind our stub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.capture.inspection import Inspection
from inspector.gdb_plugin import install
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.hvm.machine import HvmRecipe
from inspector.targets.live.bochs import Bochs
from inspector.targets.live.gdb_mi import GdbMi

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hvm")]


@pytest.fixture(scope="module")
def lab(hvm: Callable[[HvmRecipe], HvmLab]) -> HvmLab:
    return hvm(HvmRecipe(guest="storm", name="bridged"))


@pytest.fixture
def bridge(lab: HvmLab) -> Iterator[str]:
    """The socket's path."""
    env = {**os.environ, "XDG_STATE_HOME": str(lab.console.parents[3])}
    words = [sys.executable, "-m", "inspector.frontends.cli", "lab", "gdb", lab.name]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env, text=True) as server:
        assert server.stdout
        path = server.stdout.readline().removeprefix("target remote ").strip()
        assert Path(path).stat().st_mode & 0o777 == 0o600
        yield path
        server.terminate()
        assert server.wait(60) == 0
    assert not Path(path).exists()


def test_gdb_reads_stops_at_a_function_and_writes_nothing(bridge: str, lab: HvmLab) -> None:
    commands = [
        *("set architecture i386:x86-64", f"target remote {bridge}", "info threads", "p/x $cs", "p iommu_intpost"),
        "p *(char *)0x100170",
        *("set var iommu_intpost = 0", "p iommu_intpost", "hbreak vmx_vcpu_block", "continue"),
        *("p/x $rip == (long)vmx_vcpu_block", "p/x ((struct vcpu *)$rdi)->arch.hvm.vmx.pi_desc.nv", "stepi"),
        *("p/x $rip == (long)vmx_vcpu_block", "delete", "detach"),
    ]
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", str(lab.symbols), *words], capture_output=True, text=True, timeout=300
    )
    said = done.stdout + done.stderr
    assert "Thread 1 (CPU#0 [" in said
    assert "Thread 2 (CPU#1 [" in said
    # A guest's address is none of Xen's; and nothing is written.
    assert "Cannot access memory at address 0x100170" in said
    assert said.count("Cannot access memory") == 2
    assert "hit Breakpoint 1, vmx_vcpu_block" in said
    values = re.findall(r"^\$\d+ = (\w+)", said, re.MULTILINE)
    # In Xen's code segment or the guest's; posting on, before and after the write; at the function; f2; and past it.
    assert values[1:] == ["true", "true", "0x1", "0xf2", "0x0"]
    with Bochs(lab.machine()) as bochs:
        assert bochs.running
        assert "lbreakpoint" not in (bochs.stop(), bochs.debugger.command("blist"))[1]


def test_vtdpi_through_gdb_reads_what_it_reads_of_bochs(bridge: str, lab: HvmLab) -> None:
    with GdbMi(bridge) as live:
        found = Inspection(live, symbols=str(lab.symbols)).snapshot
        with Bochs(lab.machine()) as bochs:
            assert not bochs.running
            direct = Inspection(bochs).snapshot
        assert [vcpu.pi for vcpu in found.vcpus] == [vcpu.pi for vcpu in direct.vcpus]
        assert len([vcpu for vcpu in found.vcpus if vcpu.pi]) == 6
        assert found.lists == direct.lists
    with Bochs(lab.machine()) as bochs:
        assert bochs.running


def test_the_plugin_inside_gdb_reads_the_same(
    bridge: str, lab: HvmLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    commands = [
        *("set architecture i386:x86-64", f"target remote {bridge}", f"source {install.write()}", "vtdpi vcpus --json"),
        "disconnect",
    ]
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", str(lab.symbols), *words], capture_output=True, text=True, timeout=300
    )
    said = next((line for line in done.stdout.splitlines() if line.startswith('{"schema": "vtdpi/vcpus/')), None)
    assert said, done.stdout + done.stderr
    posted = [vcpu for vcpu in json.loads(said)["vcpus"] if vcpu["pi"]]
    with Bochs(lab.machine()) as bochs:
        addresses = [vcpu.pi.address for vcpu in Inspection(bochs).snapshot.vcpus if vcpu.pi]
    assert [int(vcpu["pi"]["address"], 16) for vcpu in posted] == addresses
    assert {vcpu["pi"]["nv"] for vcpu in posted} <= {0xF2, 0xF3}
