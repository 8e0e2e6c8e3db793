from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.dump.notes import Note, cpus_of, crash_of, parse_notes
from inspector.targets.target import Crash

OWNERS = st.text("ABCDEFXen_", min_size=1, max_size=9)
NOTES = st.lists(st.builds(Note, OWNERS, st.integers(0, 2**32 - 1), st.binary(max_size=30)), max_size=6)


def test_registers_of_a_real_qemu(unpacked: Callable[[str], Path]) -> None:
    with ElfCore(unpacked("tiny/paging-false.core")) as target:
        first, second = target.cpus()
        assert [(n.owner, n.type, len(n.data)) for n in target.notes] == [("CORE", 1, 336)] * 2 + [("QEMU", 0, 440)] * 2
    known = {"r15": 0x0123456789ABCDEF, "rsp": 0x6FF8, "rdi": 0x304000, "rbx": 6364136223846793005, "rcx": 0xC0000102}
    known |= {
        "rax": 0x33334444,
        "rdx": 0xFFFF8300,
        "cs": 0x18,
        "ss": 0x10,
        "ds": 0x10,
        "es": 0x10,
        "gs": 0,
        "eflags": 0x16,
    }
    known |= {"gs_base": 0xFFFF830011112222, "k_gs_base": 0xFFFF830033334444, "fs_base": 0}
    known |= {"cr0": 0xE0000011, "cr2": 0, "cr3": 0x1000, "cr4": 0x20, "rip": 0xFFFF00FA}
    assert {name: first.registers[name] for name in known} == known
    assert len(first.registers) == 18 + 6 + 2 + 4 + 1
    assert (first.index, second.index) == (0, 1)
    assert second.registers["rip"] == 0xFFF0


def test_registers_of_golden_captures(golden: Callable[[str], Path]) -> None:
    with ElfCore(golden("blocking-in-progress")) as target:
        found = [(c.registers["cr3"], c.registers["rip"], c.registers["cs"]) for c in target.cpus()]
    assert found == [(0x27D0C000, 0xFFFF82D0402C851B, 0xE008), (0x27D0D000, 0xFFFF82D040241240, 0xE008)]
    with ElfCore(golden("cpu-offline-before-fixup")) as target:  # here only NT_PRSTATUS tells gs_base
        assert [c.registers["gs_base"] for c in target.cpus()] == [0xFFFF888018400000, 0]
        assert [c.registers["cr3"] for c in target.cpus()] == [0x27C76000, 0x27C76000]


@given(NOTES)
def test_notes_read_back(elf_note: Callable[..., bytes], notes: list[Note]) -> None:
    raw = b"".join(elf_note(n.owner, n.type, n.data) for n in notes)
    assert parse_notes(raw) == (notes, True)
    assert parse_notes(raw + bytes(64)) == (notes, True)


@given(NOTES, st.integers(1, 60))
def test_cut_notes_keep_what_is_whole(elf_note: Callable[..., bytes], notes: list[Note], cut: int) -> None:
    raw = b"".join(elf_note(n.owner, n.type, n.data) for n in notes)
    found, _ = parse_notes(raw[:-cut])
    assert found == notes[: len(found)]
    assert parse_notes(struct.pack("<III", 5, 2**32 - 1, 1) + b"CORE\0\0\0\0") == ([], False)


def test_what_xen_leaves_in_its_crash_dump(elf_note: Callable[..., bytes]) -> None:
    info = struct.pack("<10Q", 4, 17, *range(100, 105), 0, 0x7A400000, 0x1234)
    regs = [struct.pack("<4Q", 0x80050033, 0xDEAD, cr3, 0x26E0) for cr3 in (0x1000, 0x2000)]
    raw = elf_note("Xen", 0x1000001, info) + b"".join(elf_note("Xen", 0x1000002, r) for r in regs)
    notes, whole = parse_notes(raw)
    assert whole
    assert crash_of(notes) == Crash(0x7A400000, None)
    told = Note("VMCOREINFO_XEN", 0, b"SYMBOL(dom_io)=ffff82d040463840\nSYMBOL(pgd_l4)=ffff82d040476000\n\0\0")
    assert crash_of([told, *notes]) == Crash(0x7A400000, 0x7A876000)
    assert crash_of([told]) is None
    assert crash_of([Note("VMCOREINFO_XEN", 0, b"SYMBOL(pgd_l4)=what"), *notes]) == Crash(0x7A400000, None)
    assert [dict(cpu.registers) for cpu in cpus_of(notes)] == [
        {"cr0": 0x80050033, "cr2": 0xDEAD, "cr3": cr3, "cr4": 0x26E0} for cr3 in (0x1000, 0x2000)
    ]
    assert crash_of([Note("Xen", 0x1000001, b"short")]) is None


@pytest.mark.parametrize("size", [0, 8, 335, 337, 431])
def test_notes_of_another_size_say_nothing(size: int) -> None:
    data = bytes(size)
    assert [c.registers for c in cpus_of([Note("CORE", 1, data), Note("QEMU", 0, data)])] == [{}]
