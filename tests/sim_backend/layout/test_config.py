"""Which machines there are."""

from __future__ import annotations

import json

import pytest

from sim_backend.layout.config import profile_named
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


def test_a_name_means_the_newest_that_it_fits():
    assert profile_named("4.20.3").version.startswith("4.20.3+127")
    assert profile_named("4.20").version.startswith("4.20.4+63")
    assert profile_named().version.startswith("4.20.4+63")
    assert profile_named("ea92b6") is profile_named("4.20.3")
    with pytest.raises(SimError, match=r"no bundled profile is called '4\.99'; there are 4\.17\.5.*ends in \.json"):
        profile_named("4.99")


def test_a_file_is_the_users_own(tmp_path):
    document = json.loads(json.dumps(profile_named("4.17").document))
    document["metadata"]["xen"] |= {"build_id": "00ff", "version": "4.17-mine"}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    layout = Layout(LayoutConfig(str(path)))
    assert layout.memory.read(layout.symbol("__note_gnu_build_id_start") + 16, 2) == b"\0\xff"


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe", b'{"metadata": {"xen": 3}}'])
def test_a_file_that_is_none_is_told(content, tmp_path):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SimError, match=r"bad\.json: cannot be read: No such file|bad\.json: not a profile"):
        profile_named(str(path))
