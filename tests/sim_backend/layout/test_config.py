"""Which machines there are."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DeviceConfig, Layout, LayoutConfig
from sim_backend.memory.errors import SimError

from .builds import NIC


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"cpus": 0}, "0 CPUs"),
        ({"apic_ids": (1, 1)}, "twice"),
        ({"apic_ids": (1, 300)}, "0xff"),
        ({"devices": (DeviceConfig(NIC, 500),)}, "irqs"),
        ({"devices": (DeviceConfig(NIC, domain=77),)}, "domain"),
        ({"profile": "3.0"}, "no bundled profile"),
        ({"ram": 12345}, "multiple"),
        ({"ram": 8 << 20}, "memory"),
    ],
)
def test_what_is_no_machine_is_refused(wrong, why):
    with pytest.raises(SimError, match=why):
        Layout(LayoutConfig(**wrong))
