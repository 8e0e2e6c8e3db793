"""Debian's Linux as the host, and as domain 0 above a Xen: what vtdpi says of its interrupts is what it says itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inspector.analysis.irqs import interrupts
from inspector.audit import audit, coverage
from inspector.capture.inspection import Inspection
from inspector.lab.kernel import LINUX
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.model.snapshot import Snapshot
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.qmp import Qmp
from inspector.targets.open_file import open_file
from inspector.vtd.remapping import bdf
from tests.inspector.analysis.test_one_source import same_source_everywhere

pytestmark = pytest.mark.live

ROW = re.compile(r"^ *(\d+): +(?:\d+ +)+(\S.*?) +(\d+)-(\w+) +(\S.*?)\r?$", re.MULTILINE)
"""Of /proc/interrupts: irq, controller, its number there, how it is handled, who handles it."""
PIRQ = re.compile(r"^ *(\d+): +(?:\d+ +)+xen-pirq +-(\S+) +(\S.*?)\r?$", re.MULTILINE)
AFFINITY = re.compile(r"^irq (\d+) may go to (\S*), goes to (\S*?)\r?$", re.MULTILINE)
REMAPPED = ("IR-IO-APIC", "IR-PCI-MSI")


@dataclass
class Stopped:
    """A lab that stands still, its dumps by name, and what its Linux printed of its interrupts."""

    lab: Lab
    dumps: dict[str, Path]
    console: str


@pytest.fixture(params=sorted(LINUX))
def linux(request: pytest.FixtureRequest, labs: Callable[[Recipe], Lab], tmp_path: Path) -> Stopped:
    return _dumped(labs(Recipe(linux=request.param)), tmp_path)


def _dumped(lab: Lab, directory: Path) -> Stopped:
    with Qmp(lab.qmp) as qmp:
        qmp.execute("stop")
        try:
            for name, how in (("elf", {}), ("kdump", {"format": "kdump-zlib"})):
                target = {"protocol": f"file:{directory / name}", "paging": False}
                qmp.execute("dump-guest-memory", {**target, **how}, timeout=120)
            size = qmp.execute("query-memory-size-summary")["base-memory"]
            qmp.execute("pmemsave", {"val": 0, "size": size, "filename": str(directory / "raw")}, timeout=120)
        finally:
            qmp.execute("cont")
    return Stopped(lab, {name: directory / name for name in ("elf", "kdump", "raw")}, lab.console.read_text("latin-1"))


def told(console: str) -> dict[int, tuple[str, str]]:
    """What Linux says of each irq: controller, number and kind, as one, and who handles it."""
    return {int(irq): (f"{chip} {number}-{flow}", action) for irq, chip, number, flow, action in ROW.findall(console)}


def cpus(words: str) -> tuple[int, ...]:
    """A list of CPUs as Linux prints it: `0-1,3`."""
    ranges = [part.partition("-") for part in words.split(",") if part]
    return tuple(cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1))


def agrees(snapshot: Snapshot, console: str) -> None:
    """Every irq, every remapped one's entry and who it is of, and where it goes, are as Linux prints them."""
    assert snapshot.problems == ()
    printed = told(console)
    known = {irq.irq: (irq.type, irq.action) for irq in snapshot.irqs if irq.action}
    assert known == printed
    affinities = {int(irq): (cpus(may), cpus(does)) for irq, may, does in AFFINITY.findall(console)}
    assert len(affinities) > 20
    # A unit's interrupt for faults is moved when Linux likes; all others stay where they were set up.
    moves = {irq for irq, (kind, _) in printed.items() if kind.startswith("DMAR")}
    states = {irq.irq: (irq.affinity, irq.cpus) for irq in snapshot.irqs}
    assert {irq: states.get(irq) for irq in affinities.keys() - moves} == {
        irq: masks for irq, masks in affinities.items() if irq not in moves
    }
    joined = {each.irq: each for each in interrupts(snapshot) if each.irq is not None}
    (unit,) = snapshot.units
    remapped = {irq for irq, (kind, _) in printed.items() if kind.startswith(REMAPPED)}
    assert {each.index for irq, each in joined.items() if irq in remapped} == {*unit.indices}
    for irq in remapped:
        each, kind = joined[irq], printed[irq][0]
        number = int(kind.rpartition(" ")[2].partition("-")[0])
        assert each.taker == f"Linux: {printed[irq][1]}"
        assert each.vector == each.entry["vector"]
        if "IO-APIC" in kind:
            assert (each.source.kind, each.source.pin) == ("ioapic", number)
        else:
            assert each.source.kind == "msi"
            # The device is in the controller's name, or, up to 6.1, in the number (pci_msi_domain_calc_hwirq).
            named = re.search(r"-[0-9a-f]{4}:([0-9a-f:.]+) ", kind)
            assert each.source.bdf == (named[1] if named else bdf(number >> 11 & 0xFFFF))


def test_owners_are_those_of_proc_interrupts(linux, tmp_path):
    stopped = linux
    with GdbMi(stopped.lab.gdb, qmp=str(stopped.lab.qmp)) as target:
        live = Inspection(target)
        agrees(live.snapshot, stopped.console)
        assert live.snapshot.kernel.found_by == "CR3 of CPU 0"
        assert audit(live.snapshot) == []
        assert {"D18", "D19", "D22", "D34"} <= {*coverage(live.snapshot).checked}
        assert same_source_everywhere(target) > 10
    ways = {}
    for name, path in stopped.dumps.items():
        with open_file(path) as target:
            inspection = Inspection(target)
            agrees(inspection.snapshot, stopped.console)
            kernel = inspection.snapshot.kernel
            ways[name] = kernel.found_by
            assert kernel.build_id == live.snapshot.kernel.build_id
            assert kernel.text == live.snapshot.kernel.text
    assert ways == {"elf": "the vmcoreinfo note", "kdump": "the vmcoreinfo note", "raw": "the vmcoreinfo in its memory"}


def test_domain_0_above_a_xen(lab_dom0, tmp_path):
    stopped = _dumped(lab_dom0, tmp_path)
    printed = {action for _, _, action in PIRQ.findall(stopped.console)}
    assert len(printed) > 6
    expected = [(int(irq), action) for irq, _, action in PIRQ.findall(stopped.console)]

    def check(inspection: Inspection) -> None:
        snapshot = inspection.snapshot
        assert snapshot.host == "Xen"
        assert [(pirq.irq, pirq.action) for pirq in snapshot.kernel.pirqs if pirq.action] == expected
        joined = interrupts(snapshot)
        names = [name for each in joined for name in each.action_names]
        assert sorted(names) == sorted(action for _, action in expected)
        assert all(each.index is not None for each in joined if each.action_names)
        assert snapshot.problems == ()

    with GdbMi(lab_dom0.gdb, qmp=str(lab_dom0.qmp)) as target:
        check(Inspection(target))
    for name in ("elf", "kdump"):
        with open_file(stopped.dumps[name]) as target:
            check(Inspection(target))
