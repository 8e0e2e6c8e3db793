"""A whole machine in memory: saved, copied, refused."""

from __future__ import annotations

import json

import pytest

from sim_backend.layout.builder import PHYS_START
from sim_backend.layout.config import profile_named
from sim_backend.layout.layout import Layout
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import GIB_4

from .builds import DISK, NIC


def test_saved_and_restored_through_json(layout):
    state = json.loads(json.dumps(layout.state()))
    again = Layout.restored(layout.profile, layout.config, state, layout.memory.copy())
    for machine in (layout, again):
        machine.create_domain(9, 3)
        machine.remove_device(NIC)
        machine.add_device(0x0100, 4)
        machine.offline(2)
        machine.free_percpu(2)
        machine.online(2)
    assert again.memory.digest() == layout.memory.digest()
    assert again.state() == layout.state()


def test_a_copy_goes_its_own_way(layout):
    digest, state = layout.memory.digest(), json.dumps(layout.state())
    other = layout.copy()
    other.destroy_domain(1)
    other.remove_device(DISK)
    other.offline(1)
    other.free_percpu(1)
    assert layout.memory.digest() == digest != other.memory.digest()
    assert json.dumps(layout.state()) == state


def test_the_same_machine_twice_is_the_same_bytes():
    assert Layout().memory.digest() == Layout().memory.digest()


@pytest.mark.parametrize("damage", [{}, {"heap": 3}, {"heap": {"next": 1}}, {"domains": [[1]]}])
def test_a_damaged_state_is_refused(layout, damage):
    state = layout.state() | damage if damage else {}
    with pytest.raises(SimError, match="no saved layout"):
        Layout.restored(layout.profile, layout.config, state, layout.memory)


def test_pointers_outside_are_refused(layout):
    with pytest.raises(SimError, match="neither"):
        layout.physical(0xFFFF_8000_0000_0000)
    with pytest.raises(SimError, match="does not map"):
        layout.virtual(layout.memory.size)
    with pytest.raises(SimError, match="does not map"):
        layout.virtual(GIB_4 + layout.memory.high)
    assert layout.physical(layout.virtual(PHYS_START)) == PHYS_START
    assert profile_named("ea92b6").version.startswith("4.20.3")
