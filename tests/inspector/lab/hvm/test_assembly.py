"""Our own programs, made by the binutils of this machine as by the downloaded ones. That they run: tests/live."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from elftools.elf.elffile import ELFFile

from inspector.lab import LabError
from inspector.lab.hvm.assembly import GUEST_AT, MOVE, POST, PROFILES, Assembler


@dataclass(frozen=True)
class OfThisMachine:
    """Its assembler and linker. `unavailable` is called if it has none."""

    unavailable: Callable[[object], NoReturn]

    def command(self, program: str) -> list[str]:
        found = shutil.which(program) or shutil.which(program.removeprefix("x86_64-linux-gnu-"))
        if not found:
            self.unavailable(f"no {program} is here: install the package binutils")
        return [found]


@pytest.fixture
def assembler(tmp_path: Path, unavailable: Callable[[object], NoReturn]) -> Assembler:
    return Assembler(OfThisMachine(unavailable), tmp_path)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_guest_for_each_profile_and_a_dom0_that_has_it_in_it(assembler, profile):
    guest = assembler.guest(profile, 6).read_bytes()
    kernel = assembler.dom0(profile, 2, 6).read_bytes()
    assert guest in kernel
    elf = ELFFile(io.BytesIO(kernel))
    assert (elf.elfclass, elf["e_machine"]) == (64, "EM_X86_64")
    # Xen asks a PV kernel for its notes.
    assert any(segment["p_type"] == "PT_NOTE" for segment in elf.iter_segments())
    assert all(segment["p_align"] <= 4096 for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD")


def test_what_differs_is_the_profile_and_the_vcpus(assembler):
    made = {(profile, vcpus): assembler.guest(profile, vcpus).read_bytes() for profile in PROFILES for vcpus in (1, 6)}
    assert len(set(made.values())) == len(made)
    kernels = set()
    for profile in PROFILES:
        for cpus in (1, 2):
            assembler.guest("idle", 6)
            kernels.add(assembler.dom0(profile, cpus, 6).read_bytes())
    # A profile is to dom0 how often it posts, and how often it moves a vCPU.
    assert len(kernels) == 2 * len({(POST[profile], MOVE.get(profile, 0)) for profile in PROFILES})


@pytest.mark.parametrize(("information", "entry"), [(0x9000, 0x200000), (0xFFFFF000, 0xFFFFFFF0), (0, 0)])
def test_the_option_rom_is_one_that_a_bios_runs(assembler, information, entry):
    """0x55AA, its length in sectors, and bytes that add up to 0 (PCI firmware specification 5.1)."""
    rom = assembler.rom(information, entry).read_bytes()
    assert rom[:2] == b"\x55\xaa"
    assert len(rom) == rom[2] * 512
    assert sum(rom) & 0xFF == 0
    assert information.to_bytes(4, "little") in rom
    assert entry.to_bytes(4, "little") in rom


def test_the_guest_stands_where_it_is_put(assembler):
    """It is linked for GUEST_AT: the same, linked elsewhere, has other addresses in it."""
    here = assembler.guest("storm", 2).read_bytes()
    assembler._link("guest", "-m", "elf_i386", f"-Ttext={GUEST_AT + 0x1000:#x}", "--oformat=binary")
    assert (assembler.directory / "guest").read_bytes() != here


def test_what_the_tools_say_is_one_line(assembler, tmp_path):
    with pytest.raises(LabError, match="the lab's own programs cannot be made: as says: ") as caught:
        assembler.dom0("storm", 2, 6)
    assert "\n" not in str(caught.value)
    gone = Assembler(OfThisMachine(pytest.fail), tmp_path / "gone")
    with pytest.raises(LabError, match="cannot be made: as says: "):
        gone.guest("storm", 6)
