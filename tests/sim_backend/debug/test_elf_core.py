"""The ELF core: `vtdpi dump` reads what was laid out."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.dump.elf_core import ElfCore
from inspector.xen.find import find
from inspector.xen.percpu import online
from sim_backend.debug.elf_core import write_core
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.machine.registers import GUEST, Still
from sim_backend.memory.errors import SimError


class FirstInGuest(Still):
    """CPU 0 runs a guest."""

    def where(self, cpu):
        return super().where(cpu) if cpu else GUEST


@pytest.fixture(params=[("4.20", 0), ("4.17", 2 << 20)], ids=str)
def layout(request):
    build, high = request.param
    domains = (DomainConfig(1, 3),)
    devices = (DeviceConfig(0x0018, 2),)
    return Layout(LayoutConfig(build, cpus=2, domains=domains, devices=devices, units=2, high=high))


@pytest.mark.parametrize("machine", [Still, FirstInGuest])
def test_a_core_is_read_back(layout, machine, tmp_path):
    path = tmp_path / "core"
    write_core(machine(layout), path)
    with ElfCore(path) as core:
        for start, size in layout.memory.ram():
            assert core.read(start, size) == layout.memory.read(start, size)
        assert core.read(layout.units[1].registers, 4096) == layout.memory.read(layout.units[1].registers, 4096)
        roots = [cpu.registers["cr3"] for cpu in core.cpus()]
        assert roots == [
            0 if machine is FirstInGuest else layout.symbol("idle_pg_table"),
            layout.symbol("idle_pg_table"),
        ]
        assert core.cpus()[1].registers["rip"] == layout.profile.symbol("default_idle")
        assert online(find(core)) == {0: 0, 1: 1}
        inspection = Inspection(core)
        assert [len(unit.indices) for unit in inspection.snapshot.units] == [0, 26]
        assert not inspection.snapshot.problems
        assert not core.warnings


def test_a_cpu_that_is_offline_is_not_in_it(layout, tmp_path):
    layout.offline(1)
    write_core(Still(layout), tmp_path / "core")
    with ElfCore(tmp_path / "core") as core:
        assert len(core.cpus()) == 1


def test_zeros_take_no_room(layout, tmp_path):
    path = tmp_path / "core"
    write_core(Still(layout), path)
    assert path.stat().st_size > layout.memory.size
    assert path.stat().st_blocks * 512 < 2 << 20


def test_a_file_that_cannot_be_written_is_named(layout, tmp_path):
    with pytest.raises(SimError, match=f"{tmp_path} cannot be written"):
        write_core(Still(layout), tmp_path)
