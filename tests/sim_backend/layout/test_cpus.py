"""Physical CPUs."""

from __future__ import annotations

import pytest

from sim_backend.memory.errors import SimError

from .builds import read_u64


def test_cpus_have_areas_stacks_and_empty_lists(layout):
    offsets = layout.symbol("__per_cpu_offset")
    start = layout.profile.symbol("__per_cpu_start")
    for cpu, apic in enumerate((0, 2, 4)):
        assert layout.memory.u32(layout.symbol("x86_cpu_to_apicid") + 4 * cpu) == apic
        offset = layout.memory.u64(offsets + 8 * cpu)
        head = layout.profile.symbol("per_cpu__vmx_pi_blocking") + offset & (1 << 64) - 1
        assert layout.physical(head) == layout.percpu(cpu, "vmx_pi_blocking")
        assert read_u64(layout, head) == head
        info = layout.cpu_info(cpu)
        assert (info + layout.size("cpu_info")) % 0x8000 == 0
        assert layout.get("cpu_info", info, "processor_id") == cpu
        assert layout.get("cpu_info", info, "current_vcpu") == layout.virtual(layout.idle_vcpu(cpu))
        assert layout.get("cpu_info", info, "per_cpu_offset") == offset
    absent = layout.memory.u64(offsets + 8 * 3)
    assert absent + start & (1 << 64) - 1 == 1 << 63
    assert layout.memory.u64(layout.symbol("cpu_online_map")) == 0b111


def test_a_cpu_goes_and_comes_back(layout):
    area = layout.percpu(1, "curr_vcpu")
    layout.offline(1)
    layout.free_percpu(1)
    assert layout.memory.u64(layout.symbol("cpu_online_map")) == 0b101
    with pytest.raises(SimError, match="CPU 1 has no per-CPU area"):
        layout.percpu(1, "curr_vcpu")
    layout.online(1)
    assert layout.percpu(1, "curr_vcpu") == area
    assert layout.memory.u64(area) == layout.virtual(layout.idle_vcpu(1))
    with pytest.raises(SimError, match="CPU 0"):
        layout.free_percpu(0)


def test_softirqs_lie_where_xen_counts_them(layout):
    assert layout.irq_stat(2) - layout.irq_stat(0) == 2 * 128
    assert layout.irq_stat(0) == layout.symbol("irq_stat")
