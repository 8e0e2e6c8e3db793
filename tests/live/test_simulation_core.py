"""Plain gdb with Debian's xen-syms reads the simulated machine's core, as it would read a real Xen's."""

from __future__ import annotations

import re
import subprocess

import pytest

from sim_backend.debug.elf_core import write_core
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.machine.registers import Still

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def layout(symbols, profile_of):
    devices = (DeviceConfig(0x0018, 2, domain=3),)
    domains = (DomainConfig(0, 1, hvm=False), DomainConfig(3, 2))
    layout = Layout(LayoutConfig(profile_of(symbols), cpus=3, domains=domains, devices=devices, high=2 << 20))
    layout.post_msi(layout.device(0x0018).msis[1], 3, 1, 0x61)
    descriptor = layout.pi_desc(3, 1)
    for bit in (0x61, 256):
        layout.memory.test_and_set_bit(descriptor, bit)
    return layout


@pytest.fixture(scope="module")
def ask(symbols, layout, tmp_path_factory):
    """Call it with gdb commands for what gdb prints."""
    core = tmp_path_factory.mktemp("core") / "core"
    write_core(Still(layout), core)

    def answer(*commands: str) -> str:
        words = [word for command in commands for word in ("-ex", command)]
        done = subprocess.run(
            ["gdb", "-nx", "-batch", str(symbols), str(core), *words],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not re.search(r"Cannot access|warning: .*core|Error", done.stderr), done.stderr
        return done.stdout

    return answer


def values(text: str) -> list[int]:
    return [int(match, 0) for match in re.findall(r"^\$\d+ = (?:\([^)]*\) )?(-?\w+)", text, re.MULTILINE)]


def test_a_vcpu_prints_its_fields(ask, layout):
    vcpu = f"((struct vcpu *){layout.virtual(layout.vcpu(3, 1)):#x})"
    printed = ask(
        f"p/x {vcpu}->vcpu_id",
        f"p/x {vcpu}->processor",
        f"p/x {vcpu}->domain->domain_id",
        f"p/x {vcpu}->domain->vcpu[1] == {vcpu}",
        f"p/x {vcpu}->arch.hvm.vmx.pi_desc.nv",
        f"p/x {vcpu}->arch.hvm.vmx.pi_desc.on",
        f"p/x {vcpu}->arch.hvm.vmx.pi_desc.pir[1]",
        f"p/x {vcpu}->arch.hvm.vmx.pi_desc.ndst",
    )
    assert values(printed) == [1, 1, 3, 1, 0xF2, 1, 1 << 0x61 - 64, 0xFFFF_FFFF]


def test_lists_per_cpu_areas_and_msis_are_followed_from_symbols(ask, layout):
    msi = layout.device(0x0018).msis[1]
    drhd = "((struct acpi_drhd_unit *)((char *)acpi_drhd_units.next - (long)&((struct acpi_drhd_unit *)0)->list))"
    printed = ask(
        "p domain_list->domain_id",
        "p domain_list->next_in_list->domain_id",
        "p domain_list->next_in_list->next_in_list",
        "p idle_vcpu[2]->processor",
        "p nr_cpu_ids",
        "p xen_phys_start",
        "p/x __per_cpu_offset[1]",
        f"p irq_desc[{msi.irq}].msi_desc->remap_index",
        f"p/x irq_desc[{msi.irq}].msi_desc->dev->sbdf.sbdf",
        f"p/x {drhd}->iommu->intremap.maddr",
        f"p/x {drhd}->iommu->cap == *(unsigned long *)({drhd}->iommu->reg + 8)",
    )
    offset = layout.memory.u64(layout.symbol("__per_cpu_offset") + 8)
    expected = [0, 3, 0, 2, 3, 0x20_0000, offset, msi.index, 0x18, layout.irte(0, 0), 1]
    assert values(printed) == expected


def test_threads_are_cpus_in_xen(ask):
    printed = ask("info threads", "thread 3", "p $rip == &default_idle", "x/2i default_idle")
    assert printed.count("default_idle ()") >= 3
    assert "$1 = 1" in printed
    assert "(bad)" not in printed
