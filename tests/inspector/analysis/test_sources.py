"""Who uses an entry: one answer, by unit and IO-APIC, from files as from simulated machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inspector.analysis.sources import InterruptSources, Source
from inspector.base.errors import NotReadable
from inspector.capture.inspection import Inspection
from inspector.model.interrupts import Msi, Pin
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import Platform, Scope, VtdUnit
from inspector.targets.open_file import open_file
from inspector.targets.sim.simulation import Simulation
from inspector.targets.target import Target
from sim_backend.debug.elf_core import write_core
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load
from structs.irte import REMAPPED

FIELD = "field"
PIN_BY_FILE = {
    # Three IO-APICs whose pins are all said to have these entries.
    "logs/c04_ioapic_hex_index.log": {
        (0, 0): "an IO-APIC",
        (0, 1): "an IO-APIC",
        (0, 0x18): "device 03:00.0",
        (0, 0x19): "device 03:00.0",
    },
    "logs/c37_gpu_unit_index0_vs_ioapic_pin.log": {
        (0, 0): "device 00:02.0",
        (0, 1): "device 03:00.0",
        (1, 0): "IO-APIC 0 pin 2",
        (1, 1): "IO-APIC 0 pin 9",
        (1, 0x18): "device 00:14.0",
    },
    "logs/c39_two_ioapics_in_two_units.log": {
        (0, 0): "IO-APIC 1 pin 0",
        (0, 1): "IO-APIC 1 pin 1",
        (0, 2): "device 17:00.0",
        (3, 0): "IO-APIC 0 pin 2",
        (3, 1): "IO-APIC 0 pin 9",
        (3, 2): "IO-APIC 0 pin 16",
    },
    "snapshots/c40_snapshot_two_ioapics.json": {
        (0, 0): "IO-APIC 1 pin 0",
        (0, 1): "IO-APIC 1 pin 1",
        (0, 2): "device 17:00.0",
        (3, 0): "IO-APIC 0 pin 2",
        (3, 1): "IO-APIC 0 pin 9",
        (3, 2): "IO-APIC 0 pin 16",
    },
    "snapshots/c41_snapshot_gpu_unit.json": {
        (1, 0): "device 00:07.0",
        (0, 0): "device 00:02.0",
        **{(2, pin): f"IO-APIC 0 pin {pin}" for pin in range(24)},
        (2, 0x18): "device 00:14.0",
    },
}


def sources(snapshot: Snapshot) -> dict[tuple[int, int], Source]:
    """The source of each present entry."""
    of, found = InterruptSources(snapshot), {}
    for unit in snapshot.units:
        for at, index in enumerate(unit.indices):
            entry = REMAPPED.parse(unit.raw[at * 16 : at * 16 + 16])
            found[unit.index, index] = of.of(unit, {"index": index, **entry})
    return found


@pytest.mark.parametrize("name", PIN_BY_FILE)
def test_each_entry_has_its_own_source(data: Path, name: str) -> None:
    with open_file(data / FIELD / name) as target:
        found = sources(Inspection(target).snapshot)
    assert {place: str(source) for place, source in found.items()} == PIN_BY_FILE[name]


def entry(sid: int, vector: int = 0) -> bytes:
    return REMAPPED.build({"p": 1, "svt": 1, "sid": sid, "vector": vector})


def unit(number: int, *sids: int, **more: Any) -> VtdUnit:
    raw = b"".join(map(entry, sids))
    return VtdUnit(number, 0x1000 * number, base=0x10000, size=256, indices=tuple(range(len(sids))), raw=raw, **more)


def test_msis_at_one_index_of_two_units_are_told_apart() -> None:
    msis = (Msi(30, 0, "MSI", 0x18, 0, 0), Msi(31, 0, "MSI-X", 0x300, 0, 0))
    found = sources(Snapshot("two units", units=(unit(0, 0x300), unit(1, 0x18)), msis=msis))
    assert [str(source) for source in found.values()] == ["03:00.0 MSI-X irq 31", "00:03.0 MSI irq 30"]


def test_the_unit_of_a_device_is_that_of_the_dmar_table() -> None:
    """The same source-id at the same index of two units: only one of them is asked."""
    of_device = unit(1, 0x18, scopes=(Scope(1, 0, 0x18),))
    snapshot = Snapshot("two units", units=(unit(0, 0x18), of_device), msis=(Msi(30, 0, "MSI", 0x18, 0, 0),))
    assert [str(source) for source in sources(snapshot).values()] == ["device 00:03.0", "00:03.0 MSI irq 30"]


def test_a_device_of_another_segment_is_another_device() -> None:
    snapshot = Snapshot("a segment", units=(unit(0, 0x18, segment=1),), msis=(Msi(30, 0, "MSI", 0x18, 0, 0),))
    assert sources(snapshot)[0, 0] == Source("device", segment=1, bdf="00:03.0")


def test_an_ioapic_whose_unit_nothing_tells_is_not_guessed() -> None:
    snapshot = Snapshot("twins", units=(unit(0, 0xF0F8), unit(1, 0xF1F8)), pins=(Pin(0, 4, 0),))
    assert InterruptSources(snapshot).unit_of_ioapic(0) is None
    assert {source.kind for source in sources(snapshot).values()} == {"device"}
    told = replace(
        snapshot,
        pins=(Pin(0, 4, 0, id=9),),
        units=(unit(0, 0xF0F8), unit(1, 0xF1F8, platform=(Platform(3, 9, 0xF1F8),))),
    )
    assert InterruptSources(told).unit_of_ioapic(0) == 1
    assert sources(told)[1, 0] == Source("ioapic", 9, 0, 4)


def test_two_ioapics_with_one_source_id() -> None:
    """As on servers whose IO-APICs share a function of the chipset: ids tell them apart."""
    platform = (Platform(3, 8, 0xF0F8), Platform(3, 9, 0xF0F8))
    snapshot = Snapshot(
        "one", units=(unit(0, 0xF0F8, 0xF0F8, platform=platform),), pins=(Pin(0, 2, 0, 8), Pin(1, 2, 1, 9))
    )
    assert sources(snapshot) == {(0, 0): Source("ioapic", 8, 0, 2), (0, 1): Source("ioapic", 9, 1, 2)}


def test_a_timer_belongs_to_the_unit_that_lists_it() -> None:
    timers = (unit(0, 0xF8), unit(1, 0xF8, platform=(Platform(4, 0, 0xF8),)))
    snapshot = Snapshot("two units", units=timers, msis=(Msi(3, 0, "HPET MSI", None, 0, 0),))
    assert [str(source) for source in sources(snapshot).values()] == ["device 00:1f.0", "HPET irq 3"]


class WithoutAcpi(Target):
    """A simulated machine whose BIOS area is not there, as in QEMU's dumps with paging."""

    def __init__(self, inner: Simulation) -> None:
        self.inner = inner
        self.description = inner.description

    def read(self, address: int, size: int) -> bytes:
        if address < 0x100000:
            raise NotReadable(address, size, "it was left out")
        return self.inner.read(address, size)

    def cpus(self) -> Any:
        return self.inner.cpus()

    def memory(self) -> Any:
        return self.inner.memory()


@pytest.fixture(params=["idle", "one-device", "wakeup-storm"])
def simulation(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    with Simulation(Machine(load(request.param))) as target:
        yield target


def test_without_acpi_xen_tells_the_same(simulation: Simulation) -> None:
    whole, without = Inspection(simulation).snapshot, Inspection(WithoutAcpi(simulation)).snapshot
    assert whole.dmar
    assert without.dmar is None
    assert without.units[0].scopes == ()
    assert sources(without) == sources(whole)
    assert {source.kind for source in sources(whole).values()} >= {"ioapic"}


@pytest.mark.thorough
def test_every_command_names_the_same_source(run: Callable[..., Any], data: Path, tmp_path: Path) -> None:
    files = [data / FIELD / name for name in PIN_BY_FILE]
    with Simulation(Machine(load("idle"))) as target:
        write_core(target.machine, tmp_path / "core")
    for file in (*files, tmp_path / "core"):
        tables = run("dump", file, "irt", "--json").json["units"]
        for table in tables:
            for row in table["entries"]:
                words = ["irte", hex(row["index"]), "--unit", table["unit"], "--json"]
                (one,) = run("dump", file, *words).json["units"]
                (route,) = run("dump", file, "route", *words).json["routes"]
                assert one["entry"]["source"] == route["source"] == row["source"], (file, row)
