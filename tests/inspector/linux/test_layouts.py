"""A profile made of kallsyms and BTF."""

from __future__ import annotations

import pytest

from structs.xen.errors import ProfileError
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_linux import DATA, LAYOUTS, MadeLinux


def test_members_are_found_by_path(made):
    linux, _ = found(made)
    profile = linux.profile
    assert profile.offset("irq_desc", "irq_data.chip") == 64 + 24
    assert profile.size("irq_desc") == 256
    assert profile.member("irq_desc", "irq_data.chip").type["kind"] == "pointer"
    assert profile.member("maple_range_64", "slot").size == 128
    bit = profile.member("msi_desc", "pci.msi_attrib.multiple")
    assert (bit.offset, bit.type["bit_position"], bit.type["bit_length"]) == (64 + 4, 1, 3)


def test_what_is_not_there_is_told_with_the_linux_by_name(made):
    profile = found(made)[0].profile
    with pytest.raises(ProfileError, match=r"Linux 6.99.1-made has no symbol no_such"):
        profile.symbol("no_such")
    with pytest.raises(ProfileError, match=r"struct irq_desc of Linux 6.99.1-made has no member no_such"):
        profile.offset("irq_desc", "no_such")
    with pytest.raises(ProfileError, match="does not describe struct no_such"):
        profile.size("no_such")
    assert not profile.has("no_such", "x")
    assert profile.has_symbol("nr_cpu_ids")
    assert profile.symbol("nr_cpu_ids") == DATA


def test_of_several_structures_of_a_name_the_one_that_is_meant():
    made = MadeLinux(layouts={"irq_data": LAYOUTS["irq_data"], **LAYOUTS})
    made.layouts["irq_info"] = (8, {"lock": ("u4", 0)})
    assert not found(made)[0].profile.has("irq_info", "evtchn")
