"""Linux's image, as an inspector sees it."""

from __future__ import annotations

from inspector.linux.find import find
from tests.inspector.linux.laid import Laid


def test_variables_and_build_id_are_what_boot_leaves(layout):
    linux = find(Laid(layout))
    assert linux.build_id == layout.profile.build_id
    assert (linux.cpu_count, linux.variable("irq_remapping_enabled", 4), linux.variable("eim_mode", 4)) == (2, 1, 0)
    assert linux.pointer("page_offset_base") == 0xFFFF888000000000
    assert linux.function(layout.profile.symbol("default_idle") + 5) == "default_idle+0x5"


def test_its_symbols_are_the_profiles_and_its_banner_says_that_it_is_none(layout):
    linux = find(Laid(layout))
    names = layout.profile.document["symbols"]
    kernel = {name: of["address"] for name, of in names.items() if name in linux.kallsyms.find([name])}
    assert len(kernel) > 300
    assert linux.kallsyms.find(kernel) == kernel
    assert b"simulated" in linux.memory.read(linux.profile.symbol("linux_banner"), 80)
