"""A whole machine's snapshot and audit: seconds, and through gdb round trips; printed, never asserted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from inspector.audit import audit
from inspector.capture.inspection import Inspection
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.model.snapshot import Snapshot, dumps, loads
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.mi import Gdb, Reply
from inspector.targets.open_file import open_file
from sim_backend.debug.elf_core import write_core
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.machine.registers import Still
from structs.irte import REMAPPED

RUNS = 7
ENTRIES = 65536


@pytest.fixture(scope="module")
def layout() -> Layout:
    """64 vCPUs with a posted interrupt each, and a table with all of its 65,536 entries present."""
    layout = Layout(
        LayoutConfig(
            cpus=16,
            domains=(DomainConfig(0, 2, hvm=False), DomainConfig(1, 62)),
            devices=(DeviceConfig(0x18, 62, domain=1),),
        )
    )
    raw = np.frombuffer(layout.memory.read(layout.irte(0, 0), 16 * ENTRIES), "u1").reshape(-1, 16).copy()
    filler = REMAPPED.build({"p": 1, "svt": 1, "sid": 0x20, "vector": 0x40, "dst": 0x100})
    raw[raw[:, 0] & 1 == 0] = np.frombuffer(filler, "u1")
    layout.memory.write(layout.irte(0, 0), raw.tobytes())
    for number, msi in enumerate(layout.device(0x18).msis):
        layout.post_msi(msi, 1, number, 0x61)
    return layout


def median(measured: Callable[[], object]) -> float:
    """Milliseconds, the median of some runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        measured()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def test_a_core_of_64_vcpus(layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = tmp_path / "core"
    write_core(Still(layout), core)

    def take() -> Snapshot:
        with open_file(core) as target:
            return Inspection(target).snapshot

    snapshot = take()
    assert len(snapshot.vcpus) == 64
    assert len(snapshot.units[0].indices) == ENTRIES
    text = dumps(snapshot)
    assert loads(text) == snapshot
    taken, judged = median(take), median(lambda: audit(snapshot))
    saved, loaded = median(lambda: dumps(snapshot)), median(lambda: loads(text))
    with capsys.disabled():
        print(f"\n64 vCPUs, {ENTRIES} entries, core: snapshot {taken:.0f} ms (aim 300), audit {judged:.0f} ms (aim 50)")
        print(f"saved as {len(text) >> 10} KiB in {saved:.0f} ms, loaded in {loaded:.0f} ms")


@pytest.mark.live
@pytest.mark.parametrize("with_qmp", [False, True])
def test_live(
    golden: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    with_qmp: bool,
) -> None:
    """A real capture, 4 CPUs and 7 vCPUs, as the RAM of a stopped QEMU; the 1 MiB table is not part of it."""
    trips: list[int] = []
    try_all = Gdb.try_all

    def counted(self: Gdb, commands: Sequence[str], timeout: float | None = None) -> list[Reply]:
        trips.append(len(commands))
        return try_all(self, commands, timeout)

    monkeypatch.setattr(Gdb, "try_all", counted)
    with Lab.up(Recipe(capture=golden("xapic-4-cpus"), name="bench")) as lab:  # noqa: SIM117 - one is the time
        with GdbMi(lab.gdb, qmp=str(lab.qmp) if with_qmp else None) as target:
            inspection = Inspection(target)
            started = time.perf_counter()
            assert inspection.xen
            found, before = time.perf_counter(), len(trips)
            snapshot = inspection.snapshot
            taken = time.perf_counter()
    assert len(snapshot.vcpus) == 7
    with capsys.disabled():
        print(
            f"\nlive{' with QMP' if with_qmp else ''}: snapshot {(taken - found) * 1e3:.0f} ms (aim 250) in "
            f"{len(trips) - before} round trips of {sum(trips[before:])} commands; "
            f"Xen found, with no CR3 at hand, in {(found - started) * 1e3:.0f} ms"
        )
