"""Layouts of a Linux with KVM."""

from __future__ import annotations

import pytest

from sim_backend.layout.kvm.layout import DeviceConfig, DomainConfig, KvmLayout, LayoutConfig

CONFIG = LayoutConfig(
    profile="6.12",
    cpus=2,
    apic_ids=(0, 2),
    domains=(DomainConfig(0, 0), DomainConfig(1234, 2), DomainConfig(77, 70)),
    devices=(DeviceConfig(0x300, 3, 1234), DeviceConfig(0x308, 20)),
)
LAYOUT = KvmLayout(CONFIG)


@pytest.fixture
def layout() -> KvmLayout:
    """A copy of the one, to be written to."""
    return LAYOUT.copy()
