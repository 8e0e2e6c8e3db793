"""The few ways in which a Linux is read."""

from __future__ import annotations

import struct

import pytest

from structs.xen.errors import ProfileError
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_linux import TEXT


def test_per_cpu_variables(made):
    linux, _ = found(made)
    assert linux.cpu_count == 2
    assert linux.areas == made.percpu
    assert linux.per_cpu("x86_cpu_to_apicid", 1) == made.percpu[1] + made.symbols["x86_cpu_to_apicid"]
    assert linux.size_of("posted_msi_pi_desc") == 64
    with pytest.raises(ProfileError, match="tells of no variable no_such"):
        linux.size_of("no_such")


def test_cpu_masks_and_strings(made):
    addresses = [made.text("eth0-rx-0"), made.text(""), made.text("a\x07b"), 1 << 46]
    edge = made.allocate(bytes(8192), 4096) + 4096 - 4
    made.write(edge, b"abcdefg\0")
    masks = [made.allocate(struct.pack("<Q", 0b10)), made.allocate(struct.pack("<Q", 0xFF)), 8]
    linux, _ = found(made)
    assert linux.strings([*addresses, edge]) == ["eth0-rx-0", "", None, None, "abcdefg"]
    rows = [{"irq_common_data.affinity": at} for at in masks]
    assert linux.masks("irq_desc", "irq_common_data.affinity", rows) == [(1,), (0, 1), None]


def test_functions_and_what_it_is(made):
    linux, _ = found(made)
    assert linux.function(TEXT + 0x1240) == "start_kernel+0xc"
    assert linux.function(0x1000) is None
    assert linux.version == (6, 99)
    assert linux.build_id == bytes(range(20)).hex()
    assert linux.optional("irq_desc", "name", "no_such") == ["name"]
    assert linux.pointers([1 << 46]) == [None]
