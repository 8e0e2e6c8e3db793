"""How fast the simulated machine runs and is copied. Run with -s to see the table; timings are printed, not judged."""

from __future__ import annotations

import time

from sim_backend.layout.layout import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.layout.vtd import ENTRIES
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import BUNDLED, Scenario, load

STEPS = 60_000
COPIES = 400
ROUNDS = 3


def test_steps_per_second() -> None:
    lines = []
    for name in (name for name in BUNDLED if name != "idle"):
        machine = Machine(load(name), seed=1)
        best = 0.0
        for _ in range(ROUNDS):
            start = time.process_time()
            done = machine.run(STEPS // ROUNDS)
            best = max(best, done / (time.process_time() - start))
        start = time.process_time()
        told = sum(1 for _ in machine.events_of(4000))
        lines.append((name, best, told / (time.process_time() - start)))
        assert machine.steps == STEPS + 4000
    print("\nscenario         steps/s  with events")
    for name, plain, events in lines:
        print(f"{name:15} {plain:8.0f} {events:12.0f}")


def test_copies_and_digests_per_second() -> None:
    machine = Machine(load("one-device"), seed=1)
    machine.run(2000)
    digests = set()
    start = time.process_time()
    for _ in range(COPIES):
        machine = machine.copy()
        machine.run(1)
        digests.add(machine.digest())
    print(f"\none step, a copy and its digest: {COPIES / (time.process_time() - start):.0f}/s")
    assert len(digests) == COPIES


def test_a_large_machine() -> None:
    domains = tuple(DomainConfig(number, 8) for number in range(1, 9))
    devices = tuple(DeviceConfig(0x100 + number, 2047, 1 + number % 8) for number in range(32))
    start = time.perf_counter()
    machine = Machine(Scenario(layout=LayoutConfig(cpus=8, domains=domains)))
    built = time.perf_counter() - start
    start = time.perf_counter()
    layout = LayoutConfig(cpus=8, domains=domains, devices=devices[:1], irqs=ENTRIES)
    full = Machine(Scenario(layout=layout))
    for device in devices[1:]:
        full.add_device(device.bdf, device.vectors)
    filled = time.perf_counter() - start
    print(f"\n8 CPUs, 64 vCPUs: {built * 1e3:.0f} ms; with a full table {filled:.2f} s")
    assert len(machine.names) == len(full.names) == 64
    assert full.layout.get("vtd_iommu", full.layout.units[0].iommu, "intremap.num") == 24 + 32 * 2047
    assert full.run(2000) > 0
