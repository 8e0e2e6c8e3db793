"""A Linux found in memory, with no file."""

from __future__ import annotations

import pytest

from inspector.base.errors import VtdpiError
from inspector.linux.find import find
from inspector.targets.target import Cpu
from tests.inspector.linux.made_linux import OF_6_1, RELEASE, RODATA_AT, ROOT, MadeLinux, Memory


def without_registers(made: MadeLinux) -> Memory:
    return Memory(made.target().raw, [])


def test_by_page_tables_that_a_cpu_uses(made):
    found = find(made.target())
    assert (found.release, found.found_by, found.memory.root) == (RELEASE, "CR3 of CPU 0", ROOT)


def test_in_a_users_half_of_isolated_page_tables():
    made = MadeLinux()
    target = Memory(made.target().raw, [Cpu(0, {"cr3": ROOT | 0x1000 | 0x80})])
    assert find(target).memory.root == ROOT


def test_by_the_note_that_a_dump_has():
    made = MadeLinux(OF_6_1)
    target = without_registers(made)
    assert find(target) is None
    target.vmcoreinfo = made.vmcoreinfo_text()
    assert find(target).found_by == "the vmcoreinfo note"


def test_by_what_lies_in_memory():
    made = MadeLinux(vmcoreinfo=True)
    assert find(without_registers(made)).found_by == "the vmcoreinfo in its memory"


def test_by_page_tables_that_others_know_of(made):
    assert find(without_registers(made), [0x3000, ROOT]).found_by == "a paravirtualised domain's page table"


def test_a_stale_note_leads_nowhere_and_the_next_way_is_gone(made):
    target = made.target()
    target.vmcoreinfo = made.vmcoreinfo_text().replace(b"NUMBER(phys_base)=4096", b"NUMBER(phys_base)=81920")
    assert find(target).found_by == "CR3 of CPU 0"


def test_vmcoreinfo_of_an_older_kernel_names_no_tables(made):
    target = made.target()
    lines = made.vmcoreinfo_text().splitlines()
    target.vmcoreinfo = b"\n".join(line for line in lines if b"kallsyms" not in line)
    assert find(target).found_by == "the vmcoreinfo note"


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        (range(0x400), "no kallsyms in its image"),
        (range(0x180, 0x400), "whose symbols or types cannot be read"),
    ],
)
def test_one_of_which_parts_are_left_out_is_told(made, pages, why):
    target = made.target()
    target.lost_pages = {(RODATA_AT >> 12) + page for page in pages}
    with pytest.raises(VtdpiError, match=why):
        find(target)


def test_memory_without_one_holds_none():
    assert find(Memory(bytearray(1 << 20), [Cpu(0, {"cr3": 0x3000})])) is None


def test_the_one_of_the_last_look_is_known_again_as_long_as_it_is_there(made):
    target = made.target()
    first = find(target)
    again = find(target, before=first)
    assert again is not first
    assert again.kallsyms is first.kallsyms
    assert again.memory is not first.memory
    target.raw[made.at(made.symbols["linux_banner"])] ^= 0xFF
    with pytest.raises(VtdpiError, match="no banner"):
        find(target, before=first)


def test_memory_is_searched_only_if_that_is_wanted():
    made = MadeLinux(vmcoreinfo=True)
    assert find(without_registers(made), search=False) is None


def test_five_levels_of_page_tables(made):
    target = made.target()
    top = 0x1F00000
    target.raw[top + 8 * 511 : top + 8 * 512] = (ROOT | 3).to_bytes(8, "little")
    five = Memory(target.raw, [Cpu(0, {"cr3": top, "cr4": 0x1020})])
    found = find(five)
    assert (found.release, found.memory.root) == (RELEASE, top)
    assert find(Memory(target.raw, [Cpu(0, {"cr3": top, "cr4": 0x20})])) is None
