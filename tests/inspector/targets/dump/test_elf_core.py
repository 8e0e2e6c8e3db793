from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable, TargetError
from inspector.capture.inspection import Inspection
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.ranges import Range

Paths = Callable[[str], Path]
Core = Callable[..., bytes]
CAPTURES = sorted(
    p.name.split("4.20.3-")[1][:-9] for p in (Path(__file__).parents[3] / "data/golden").glob("*.core.zst")
)


@pytest.mark.parametrize("name", CAPTURES)
def test_golden_captures_read_as_pyelftools_reads_them(golden: Paths, name: str) -> None:
    path = golden(name)
    with ElfCore(path) as target, path.open("rb") as stream:
        assert target.warnings == []
        wanted = [s for s in ELFFile(stream).iter_segments() if s["p_type"] == "PT_LOAD"]
        for segment in wanted:
            assert target.read(segment["p_paddr"], segment["p_filesz"]) == segment.data()
        assert sum(r.size for r in target.memory()) == sum(s["p_filesz"] for s in wanted)
        assert len(target.cpus()) == (4 if "4-cpus" in name else 2)


@pytest.mark.parametrize("name", ["paging-false", "paging-true"])
def test_a_real_qemus_dumps(unpacked: Paths, name: str) -> None:
    with ElfCore(unpacked(f"tiny/{name}.core")) as target:
        for page in range(0x300000, 0x304000, 4096):
            assert target.read(page, 4096) == struct.pack("<512Q", *range(page, page + 4096, 8))
        assert target.read(0x1000, 8) == struct.pack("<Q", 0x2023)  # accessed
        numbers = [0]
        for _ in range(512):
            numbers.append((numbers[-1] * 6364136223846793005 + 1442695040888963407) % 2**64)
        assert target.read(0x200000, 4096) == struct.pack("<512Q", *numbers[1:])


def test_paging_true_tells_what_it_left_out(unpacked: Paths) -> None:
    with ElfCore(unpacked("tiny/paging-true.core")) as target:
        assert target.memory() == [Range(0, 0xC0000), Range(0x200000, 0x400000)]
        assert len(target.warnings) == 1
        assert "5440 KiB of its memory belong to no segment" in target.warnings[0]
        # The first segment has 4 MiB in memory but 768 KiB in the file: what follows is unknown, not zero.
        with pytest.raises(NotReadable) as caught:
            target.read(0xBFFF0, 32)
        assert (caught.value.address, caught.value.size) == (0xC0000, 16)
    with ElfCore(unpacked("tiny/paging-false.core")) as target:
        assert target.warnings == []
        assert target.memory() == [Range(0, 0x800000), Range(0xFFFF0000, 0x100000000)]


SEGMENTS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), st.binary(max_size=60)), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "core"


@given(SEGMENTS.filter(lambda s: any(data for _, _, data in s)), st.integers(0, 270), st.integers(0, 90), st.booleans())
def test_random_layouts(
    scratch: Path, elf_core: Core, segments: list[tuple[int, int, bytes]], address: int, size: int, many: bool
) -> None:
    segments = [(address + 1, vaddr, data) for address, vaddr, data in segments]
    memory: dict[int, int] = {}
    for start, _, data in segments:
        for i, byte in enumerate(data):
            memory.setdefault(start + i, byte)
    scratch.write_bytes(elf_core(segments, many=many))
    with ElfCore(scratch) as target:
        missing = next((at for at in range(address, address + size) if at not in memory), None)
        if missing is None:
            assert target.read(address, size) == bytes(memory[at] for at in range(address, address + size))
        else:
            with pytest.raises(NotReadable) as caught:
                target.read(address, size)
            assert (caught.value.address, caught.value.size) == (missing, address + size - missing)
        assert [at for r in target.memory() for at in range(r.start, r.end)] == sorted(memory)
        wanted = [(address, size), (address, 1)]
        assert target.read_parts(wanted) == [
            bytes(memory[at] for at in range(a, a + n)) if all(at in memory for at in range(a, a + n)) else None
            for a, n in wanted
        ]


@pytest.mark.thorough
def test_more_segments_than_the_header_can_count(scratch: Path, elf_core: Core) -> None:
    scratch.write_bytes(elf_core([(0x1000 + 16 * i, 0, b"%08d" % i) for i in range(70_000)], many=True))
    with ElfCore(scratch) as target:
        assert len(target.memory()) == 70_000
        assert target.read(0x1000 + 16 * 69_999, 8) == b"00069999"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"type": 2}, "is an ELF executable, not a core: if it is a xen-syms, give it with --symbols"),
        ({"type": 3}, "is an ELF shared object, not a core"),
        ({"type": 77}, "is an ELF file of type 77, not a core"),
        ({"class": 1}, "is a 32-bit ELF core"),
        ({"data": 2}, "is a big-endian ELF file"),
        ({"machine": 183}, "is a core of ELF machine 183; expected 62"),
        ({"phentsize": 32}, "has program headers of 32 bytes"),
        ({"phnum": 0}, "holds no memory"),
        ({"phnum": 60000}, "of its 60000 program headers are there"),
        ({"phoff": 2**64 - 1}, "0 of its 3 program headers are there"),
        ({"phnum": 0xFFFF, "shoff": 2**64 - 1}, "its section header, with the segment count, is missing"),
        ({"many": True, "sh_info": 2**32 - 1}, "of its 4294967295 program headers are there"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, elf_core: Core, header: dict[str, int], expected: str) -> None:
    path = tmp_path / "core"
    path.write_bytes(elf_core([(0x1000, 0, bytes(64)), (0x3000, 0, bytes(64))], **header))
    with pytest.raises(TargetError) as caught:
        ElfCore(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_core_without_physical_addresses_is_refused(tmp_path: Path, elf_core: Core) -> None:
    path = tmp_path / "core.of.a.process"
    path.write_bytes(elf_core([(0, 0x400000, bytes(64)), (0, 0x7FFF0000, bytes(64))]))
    with pytest.raises(TargetError, match="is a core without physical addresses"):
        ElfCore(path)


def test_impossible_addresses_are_left_out(tmp_path: Path, elf_core: Core) -> None:
    path = tmp_path / "core"
    path.write_bytes(
        elf_core([(2**64 - 8, 0, b"wraps!!!wraps!!!"), (2**52 - 8, 0, b"the last"), (2**52, 0, b"beyond")])
    )
    with ElfCore(path) as target:
        assert target.memory() == [Range(2**52 - 8, 2**52)]
        assert "2 segments have impossible physical addresses" in target.warnings[0]
        for address in (2**52, 2**64 - 8, 2**64, 2**70, -8):
            with pytest.raises(NotReadable):
                target.read(address, 8)


def test_a_cut_core_reads_as_far_as_it_goes(tmp_path: Path, golden: Paths) -> None:
    whole = golden("lost-wakeup").read_bytes()
    path = tmp_path / "cut.core"
    path.write_bytes(whole[: len(whole) // 2 + 100])
    with ElfCore(golden("lost-wakeup")) as full, ElfCore(path) as cut:
        assert "the file is cut short" in cut.warnings[0]
        assert len(cut.cpus()) == 2
        kept = cut.memory()
        assert 0 < sum(r.size for r in kept) < sum(r.size for r in full.memory())
        for part in kept:
            assert cut.read(part.start, part.size) == full.read(part.start, part.size)
        with pytest.raises(NotReadable) as caught:
            cut.read(kept[-1].start, kept[-1].size + 1)
        assert caught.value.address == kept[-1].end
    path.write_bytes(whole[:24576])
    with pytest.raises(TargetError, match="cut short: only its headers are there"):
        ElfCore(path)


def test_a_core_cut_while_it_is_read(tmp_path: Path, golden: Paths) -> None:
    path = tmp_path / "core"
    path.write_bytes(golden("lost-wakeup").read_bytes())
    with ElfCore(path) as target:
        last = target.memory()[-1]
        os.truncate(path, 30_000)
        with pytest.raises(TargetError, match="became shorter while it was read"):
            target.read(last.start, last.size)
        target.close()
        with pytest.raises(TargetError, match="cannot be read"):
            target.read(0, 8)


def test_an_absurd_size_is_answered_at_once(golden: Paths) -> None:
    with ElfCore(golden("lost-wakeup")) as target, pytest.raises(NotReadable):
        target.read(0, 1 << 60)


@given(st.integers(0, 25_000), st.lists(st.tuples(st.integers(0, 21_520), st.integers(0, 255)), max_size=6))
def test_damage_never_ends_in_a_traceback(
    scratch: Path, golden: Paths, use_damaged: Callable[..., None], cut: int, flips: list[tuple[int, int]]
) -> None:
    damaged = bytearray(golden("lost-wakeup").read_bytes()[: 4_000_000 if cut > 24_000 else cut])
    for at, value in flips:
        if at < len(damaged):
            damaged[at] = value
    scratch.write_bytes(damaged)
    use_damaged(ElfCore, scratch)


@pytest.mark.thorough
def test_random_damage_of_one_header_field_at_a_time(
    scratch: Path, unpacked: Paths, use_damaged: Callable[..., None]
) -> None:
    whole = unpacked("tiny/paging-false.core").read_bytes()[: 1 << 16]
    for at in range(0, 2216, 4):
        for value in (b"\xff" * 8, b"\0" * 8, random.Random(at).randbytes(8)):
            scratch.write_bytes(whole[:at] + value + whole[at + 8 :])
            use_damaged(ElfCore, scratch)


def virtualbox_note(owner: str, kind: int, data: bytes) -> bytes:
    """As VirtualBox writes them: the name's size is without its end, all is padded to 8 bytes."""
    name = owner.encode() + bytes(8 - len(owner))
    data += bytes(-len(data) % 8)
    return struct.pack("<III", len(owner), len(data), kind) + name + data


def virtualbox_cpu(registers: Mapping[str, int]) -> bytes:
    """A CPU as in DBGFCORECPU, of format 1.6; its extended state is left empty."""
    names = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", *(f"r{number}" for number in range(8, 16))]
    names += ["rip", "rsp", "rbp", "eflags"]
    made = b"".join(registers[name].to_bytes(8, "little") for name in names)
    for name in ("cs", "ds", "es", "fs", "gs", "ss"):
        made += struct.pack("<QIIHHI", registers.get(f"{name}_base", 0), 0xFFFFFFFF, 0xA09B, registers[name], 0, 0)
    made += b"".join(registers.get(name, 0).to_bytes(8, "little") for name in ("cr0", "cr2", "cr3", "cr4"))
    made += bytes(8 * 8 + 2 * 16 + 2 * 24 + 3 * 8 + 6 * 8)
    made += registers.get("k_gs_base", 0).to_bytes(8, "little")
    return made + bytes(8 + 8 + 2 * 8 + 8 + 0x2000)


VIRTUALBOX_FORMATS = [(0x10000, False), (0x10004, True), (0x10006, True), (0x20000, False)]
"""In the first one CPUs are as VirtualBox itself has them; the last one is none yet."""


@pytest.mark.parametrize(("form", "with_registers"), VIRTUALBOX_FORMATS)
def test_a_virtualbox_core(
    form: int,
    with_registers: bool,
    golden: Callable[[str], Path],
    elf_core: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    """`VBoxManage debugvm NAME dumpvmcore`: notes of its own for machine and CPUs, device memory with nothing in the
    file. Made here of a capture of another kind: memory and registers, and so Xen, are the same."""
    path = tmp_path / "machine.elf"
    with ElfCore(golden("two-in-guest")) as source:
        parts = [(known.start, 0, source.read(known.start, known.size)) for known in source.memory()]
        expected, cpus = Inspection(source).snapshot, list(source.cpus())
    descriptor = struct.pack("<6I", 0xC01AC0DE, form, 24, 0x07000010, 0, len(cpus))
    notes = virtualbox_note("VBCORE", 0xB00, descriptor)
    notes += b"".join(virtualbox_note("VBCPU", 0xB01, virtualbox_cpu(cpu.registers)) for cpu in cpus)
    raw = bytearray(elf_core([*parts, (0xFEB00000, 0, b"")], notes))
    row = 64 + 56 * (len(parts) + 1)
    struct.pack_into("<Q", raw, row + 40, 0x20000)
    path.write_bytes(raw)
    with ElfCore(path) as target:
        assert list(target.warnings) == []
        found_cpus = list(target.cpus())
        with pytest.raises(NotReadable):
            target.read(0xFEB00000, 4)
        found = Inspection(target).snapshot
    assert (found.version, found.lists) == (expected.version, expected.lists)
    assert [(v.name, v.runstate, v.pi) for v in found.vcpus] == [(v.name, v.runstate, v.pi) for v in expected.vcpus]
    if not with_registers:
        assert found_cpus == []
        assert {cpu.mode for cpu in found.cpus} == {None}
        return
    assert [cpu.index for cpu in found_cpus] == [cpu.index for cpu in cpus]
    for cpu, same in zip(cpus, found_cpus, strict=True):
        known = same.registers.keys() & cpu.registers.keys()
        assert {"rip", "rsp", "cs", "eflags", "cr3", "gs_base", "rax", "r15"} <= known
        assert {name: same.registers[name] for name in known} == {name: cpu.registers[name] for name in known}
    assert [cpu.mode for cpu in found.cpus] == [cpu.mode for cpu in expected.cpus]
    assert "guest" in {cpu.mode for cpu in found.cpus}


def test_a_virtualbox_core_whose_cpus_are_cut_has_none(elf_core: Callable[..., bytes], tmp_path: Path) -> None:
    notes = virtualbox_note("VBCORE", 0xB00, struct.pack("<6I", 0xC01AC0DE, 0x10006, 24, 0, 0, 1))
    (tmp_path / "core").write_bytes(elf_core([(0, 0, b"x")], notes + virtualbox_note("VBCPU", 0xB01, bytes(0x200))))
    with ElfCore(tmp_path / "core") as target:
        assert [cpu.registers for cpu in target.cpus()] == [{}]
