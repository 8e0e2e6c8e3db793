"""A Xen of whatever build, found and identified by its image alone."""

from __future__ import annotations

import struct

import pytest

from inspector.kernels.paging import roots_in_use
from inspector.targets.open_file import open_file
from inspector.targets.target import Cpu
from inspector.xen import locate

BUILD_4_20 = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"


def test_by_the_page_tables_of_a_cpu_that_runs_xen(golden):
    with open_file(golden("blocking-in-progress")) as target:
        found = locate.locate(target)
    assert found is not None
    assert found.image.build_id == BUILD_4_20
    assert found.image.version == "4.20.3+127-gc42374a105-0+deb13u1"
    assert not found.image.is_efi


@pytest.mark.parametrize("name", ["two-in-guest", "lost-wakeup"])
def test_by_a_table_that_maps_itself_where_every_cpu_runs_a_guest(golden, name):
    with open_file(golden(name)) as target:
        for root in roots_in_use(target):
            tables = locate.PageTables(target, root)
            assert name == "lost-wakeup" or locate.mapped(tables) is None
        found = locate.locate(target)
    assert found is not None
    assert found.image.build_id == BUILD_4_20


def test_memory_without_a_xen(image):
    with open_file(image.path) as target:
        assert locate.locate(target) is None


def test_a_multiboot_header_without_tables_is_no_xen(image):
    magic, flags = 0x1BADB002, 3
    image.put((8 << 20) + (2 << 20), bytes(8) + struct.pack("<III", magic, flags, -(magic + flags) & 0xFFFFFFFF))
    with open_file(image.path) as target:
        assert locate.locate(target) is None


def test_registers_that_lead_nowhere_do_no_harm(golden, monkeypatch):
    with open_file(golden("lost-wakeup")) as target:
        monkeypatch.setattr(target, "cpus", lambda: [Cpu(0, {"cr3": 0xFFFF_F000}), Cpu(1, {"cr3": 0x1000})])
        found = locate.locate(target)
    assert found is not None
    assert found.image.build_id == BUILD_4_20
