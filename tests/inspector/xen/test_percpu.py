"""What each CPU does, by Xen's memory and its registers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.model.snapshot import IDLE, IN_GUEST
from inspector.targets.open_file import open_file
from inspector.xen.domains import domains
from inspector.xen.find import find
from inspector.xen.percpu import cpus, interruptible


def found(xen, absent=None):
    _, vcpus, _ = domains(xen)
    return cpus(xen, vcpus, [] if absent is None else absent)


def test_each_cpu_with_its_apic(layout, look):
    assert [(cpu.cpu, cpu.apic_id, cpu.online) for cpu in found(look())] == [
        (number, apic, True) for number, apic in enumerate(layout.config.apics)
    ]


def test_the_vcpu_whose_state_a_cpu_holds(layout, look):
    layout.memory.set_u64(layout.percpu(1, "curr_vcpu"), layout.virtual(layout.vcpu(1, 2)))
    assert [cpu.loaded for cpu in found(look())][1] == "d1v2"


def test_an_online_cpu_without_an_area_is_told(layout, look):
    layout.memory.set_u64(layout.symbol("__per_cpu_offset") + 8, 0x8000_0000_0000_0000)
    absent = []
    assert [cpu.offset is None for cpu in found(look(), absent)] == [False, True]
    assert [(absence.subject, absence.member) for absence in absent] == [("CPU 1", "offset")]


@pytest.mark.parametrize(("rflags", "answer"), [(0, None), (2, False), (0x202, True)])
def test_rflags_that_were_never_saved_tell_nothing(rflags, answer):
    assert interruptible(rflags) is answer


@pytest.mark.parametrize(("cs", "mode"), [(0xE008, IDLE), (0x10, IN_GUEST)])
def test_without_its_page_tables_xens_code_segment_tells(golden, monkeypatch, cs, mode):
    """A dump that leaves the domains' memory out has a domain's page table in CR3, and not that table."""

    def elsewhere(cpu):
        return replace(cpu, registers={**cpu.registers, "cr3": 1 << 40, "cs": cs})

    with open_file(golden("xapic-4-cpus")) as target:
        xen, changed = find(target), tuple(map(elsewhere, target.cpus()))
        monkeypatch.setattr(target, "cpus", lambda: changed)
        _, vcpus, _ = domains(xen)
        assert cpus(xen, vcpus, [])[0].mode == mode
