"""Physical CPUs: their per-CPU areas, and what each has there."""

from __future__ import annotations

from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.kvm.builder import LinuxBuilder

AREA_PAGES = 64
"""What the image's own per-CPU variables take (`__per_cpu_end` is below it), and those of modules behind them."""
OF_MODULES = 0x3A000
"""Where modules' per-CPU variables begin in each area."""


OF_MODULE = 0x200
"""Bytes that each module's own part has at most."""


def lay_out(ground: LinuxBuilder, config: LayoutConfig) -> list[int]:
    """The area of each CPU."""
    areas = []
    offsets, hot = ground.symbol("__per_cpu_offset"), ground.profile.symbol("pcpu_hot")
    for cpu in range(config.cpus):
        area = ground.new_pages(AREA_PAGES)
        areas.append(area)
        # per-CPU symbols count from 0, so the offset is the area's own address.
        ground.memory.set_u64(offsets + 8 * cpu, ground.virtual(area))
        ground.memory.set_u32(area + ground.profile.symbol("x86_cpu_to_apicid"), config.apics[cpu])
        ground.put("pcpu_hot", area + hot, {"cpu_number": cpu})
    return areas
