"""A real Xen in Bochs: looks at all descriptors without a stop, a snapshot, and what tracing costs; printed, never
asserted."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.capture.inspection import Inspection
from inspector.lab import Missing
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.hvm.machine import HvmRecipe
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.live.bochs import Bochs
from inspector.targets.live.bochs_watchpoints import INSTRUCTIONS_A_SECOND

SECONDS = 3.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HvmLab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        begin = time.monotonic()
        try:
            found = HvmLab.up(HvmRecipe(guest="storm"), lambda line: print(line, file=sys.stderr))
        except Missing as error:
            pytest.skip(f"no HVM lab: {error}")
        print(f"\nlab up --hvm: {time.monotonic() - begin:.1f} s")
        yield found
        found.down()


def machine_time(bochs: Bochs) -> float:
    bochs.stop()
    ticks = bochs.debugger.parameters("cpu0")["icount"]
    return ticks / INSTRUCTIONS_A_SECOND


def test_looks_at_descriptors(lab: HvmLab) -> None:
    with Bochs(lab.machine()) as bochs:
        with bochs.held():
            vcpus = [vcpu for vcpu in Inspection(bochs).snapshot.vcpus if vcpu.pi]
        wanted = [(vcpu.pi.address, 64) for vcpu in vcpus if vcpu.pi]
        begin, looks = time.perf_counter(), 0
        while time.perf_counter() - begin < SECONDS:
            bochs.read_parts(wanted)
            looks += 1
        print(f"\nlooks at {len(wanted)} descriptors without a stop: {looks / SECONDS:,.0f}/s (aim: 20,000/s)")
        taken = []
        for _ in range(15):
            with bochs.held():
                start = time.perf_counter()
                _ = Inspection(bochs).snapshot
                taken.append(time.perf_counter() - start)
        print(f"snapshot: {1000 * statistics.median(taken):.1f} ms")


def test_what_tracing_costs(lab: HvmLab, tmp_path: Path) -> None:
    with Bochs(lab.machine()) as bochs:
        first = machine_time(bochs)
        bochs.cont()
        time.sleep(SECONDS)
        free = machine_time(bochs) - first
    with Session(Opening(lambda: Bochs(lab.machine()))) as session:
        words = ["trace", "--seconds", f"{SECONDS:g}", "--count", "1000000"]
        hits = session.ask(words).answer.document["hits"]
    traced = hits[-1]["time"] if hits else 0.0
    print(
        f"\n{SECONDS:g} s are {free:.3f} s of the machine's time, traced {traced:.3f}: {free / traced:.0f} times slower"
    )
    print(f"{len(hits) / SECONDS:.0f} transitions/s")
