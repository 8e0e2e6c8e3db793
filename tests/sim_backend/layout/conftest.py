"""Fixtures of these tests."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig

from .builds import BUILDS, DISK, NIC


@pytest.fixture(scope="module", params=BUILDS, ids=str)
def built(request):
    build, high = request.param
    devices = (DeviceConfig(NIC, 3, domain=1), DeviceConfig(DISK, 1))
    domains = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 4), DomainConfig(5, 1))
    return Layout(LayoutConfig(build, cpus=3, apic_ids=(0, 2, 4), domains=domains, devices=devices, high=high))


@pytest.fixture
def layout(built):
    return built.copy()
