"""Laying a machine out, copying and hashing it. Run with -s to see the table; timings are printed, never asserted."""

from __future__ import annotations

import time

from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.layout.vtd import ENTRIES

VECTORS = 2047
DOMAINS = tuple(DomainConfig(number, 8) for number in range(1, 9))
DEVICES = tuple(DeviceConfig(0x100 + number, VECTORS, 1 + number % 8) for number in range(32))
COPIES = 300
TOUCHED = range(0x1000, 0x6000, 0x1000)


def test_a_large_machine() -> None:
    start = time.perf_counter()
    small = Layout(LayoutConfig(cpus=8, domains=DOMAINS))
    built = time.perf_counter() - start
    start = time.perf_counter()
    layout = Layout(LayoutConfig(cpus=8, domains=DOMAINS, devices=DEVICES, irqs=ENTRIES))
    full = time.perf_counter() - start
    used = layout.get("vtd_iommu", layout.units[0].iommu, "intremap.num")
    assert used == 24 + len(DEVICES) * VECTORS

    rates = {}
    for name, machine in (("no device", small), ("full table", layout)):
        machine.memory.digest()
        digests = set()
        start = time.perf_counter()
        for number in range(COPIES):
            copy = machine.copy()
            for address in TOUCHED:
                copy.memory.set_u64(address, number + 1)
            digests.add(copy.memory.digest())
        rates[name] = COPIES / (time.perf_counter() - start)
        assert len(digests) == COPIES

    print(f"\n8 pCPUs, 64 vCPUs: laid out in {built * 1e3:.0f} ms; with {used} entries in {full:.2f} s")
    for name, rate in rates.items():
        print(f"copy, {len(TOUCHED)} pages written, hash; {name}: {rate:.0f}/s")
