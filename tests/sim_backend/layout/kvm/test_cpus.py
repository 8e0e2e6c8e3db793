"""Per-CPU areas."""

from __future__ import annotations

import pytest

from inspector.linux.cpus import cpus
from inspector.linux.find import find
from sim_backend.memory.errors import SimError
from tests.inspector.linux.laid import Laid


def test_each_cpu_has_its_area_and_apic_id(layout):
    absent = []
    found = cpus(find(Laid(layout)), absent)
    assert absent == []
    assert [(cpu.apic_id, cpu.online, cpu.offset) for cpu in found] == [
        (apic, True, layout.virtual(layout.area(cpu))) for cpu, apic in enumerate((0, 2))
    ]
    assert [cpu.function for cpu in found] == ["default_idle+0x0"] * 2


def test_who_is_on_a_cpu(layout):
    hot = layout.percpu(1, "pcpu_hot")
    assert layout.get("pcpu_hot", hot, "cpu_number") == 1
    assert layout.physical(layout.get("pcpu_hot", hot, "current_task")) == layout.idle_task(1)
    with pytest.raises(SimError, match="no CPU 2"):
        layout.area(2)
    with pytest.raises(SimError, match="no symbol nothing"):
        layout.percpu(0, "nothing")
