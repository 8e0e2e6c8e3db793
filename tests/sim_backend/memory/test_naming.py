"""How vCPUs and devices are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.memory.naming import device_name, parse_vcpu
from sim_backend.scenario.scenario import parse_bdf


@given(st.integers(0, 0xFFFF))
def test_a_devices_name_leads_back_to_it(sid):
    assert parse_bdf(device_name(sid)) == sid


@given(st.integers(0, 1 << 16), st.integers(0, 1 << 10))
def test_a_vcpus_name(domain, vcpu):
    assert parse_vcpu(f"d{domain}v{vcpu}") == (domain, vcpu)


@pytest.mark.parametrize(
    "name", ["", "d", "dv", "d1", "1v0", "d1v", "d1v0v0", "d-1v0", "d1v 0", "dom1v0", "d\u0661v0x"]
)
def test_what_is_no_vcpus_name(name):
    assert parse_vcpu(name) is None
