from __future__ import annotations

import itertools
import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import cramjam
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from lzallright import LZOCompressor

from inspector.base.errors import NotReadable, TargetError, UsageError
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.dump.flattened import Flattened
from inspector.targets.dump.kdump import Kdump
from inspector.targets.dump.packing import LZO, SNAPPY, ZLIB, ZSTD
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range

Paths = Callable[[str], Path]
PLAIN = 0
PACK = {
    PLAIN: bytes,
    ZLIB: zlib.compress,
    LZO: lambda page: LZOCompressor().compress(page),
    SNAPPY: lambda page: bytes(cramjam.snappy.compress_raw(page)),
    ZSTD: zstandard.ZstdCompressor().compress,
}
Block = tuple[int, bytes]


def kdump(
    pages: dict[int, bytes],
    packing: dict[int, int] | None = None,
    notes: bytes = b"",
    elsewhere: Iterable[int] = (),
    **header: int,
) -> list[Block]:
    """The parts of a kdump as (offset, bytes). `packing` of each page is zlib unless said; `header` overrides.

    `elsewhere` are pages that the bitmap tells of and that another part of a split dump holds.
    """
    end = max(pages, default=0) + 1
    half = -(-end // 8 // 4096) * 4096 or 4096
    values = {"status": 1, "block_size": 4096, "sub_hdr_size": 1, "bitmap_blocks": half // 4096 * 2, "version": 6}
    values |= {"max_mapnr": end, "split": 0, "size_note": len(notes), "offset_note": 4096 + 104} | header
    head = struct.pack("<8sI412x", b"KDUMP   ", values["version"])
    head += struct.pack("<IIII", *(values[n] for n in ("status", "block_size", "sub_hdr_size", "bitmap_blocks")))
    head += struct.pack("<6I", min(values["max_mapnr"], 2**32 - 1), 0, 0, 0, 0, 1)
    sub = (
        struct.pack("<QII", 0, 1, values["split"])
        + bytes(32)
        + struct.pack("<QQ", values["offset_note"], values["size_note"])
    )
    sub += bytes(16) + struct.pack("<QQQ", values.get("start_pfn", 0), values.get("end_pfn", 0), values["max_mapnr"])
    bits = np.zeros(half * 8, np.uint8)
    bits[[*pages, *elsewhere]] = 1
    bitmap = np.packbits(bits, bitorder="little").tobytes()
    table_at = 4096 * (1 + 1) + 2 * half
    data_at = table_at + 24 * len(pages)
    table, data = b"", b""
    for number in sorted(pages):
        flags = (packing or {}).get(number, ZLIB)
        packed = PACK[flags](pages[number])
        table += struct.pack("<QIIQ", data_at + len(data), len(packed), flags, 0)
        data += packed
    # The first bitmap says what memory there is. It must not be taken for the second, so here it says: all of it.
    blocks = [(0, head), (4096, sub + notes), (8192, b"\xff" * half), (8192 + half, bitmap)]
    return [*blocks, (table_at, table), (data_at, data)]


def plain(blocks: list[Block]) -> bytes:
    size = max(offset + len(data) for offset, data in blocks)
    file = bytearray(size)
    for offset, data in blocks:
        file[offset : offset + len(data)] = data
    return bytes(file)


def flat(blocks: list[Block], end: bool = True) -> bytes:
    head = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    parts = [struct.pack(">qq", offset, len(data)) + data for offset, data in blocks if data]
    return head + b"".join(parts) + (b"\xff" * 16 if end else b"")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "kdump"


def test_a_real_qemus_kdump_is_what_its_elf_core_is(unpacked: Paths) -> None:
    with Kdump(unpacked("tiny/zlib.kdump")) as target, ElfCore(unpacked("tiny/paging-false.core")) as core:
        assert target.warnings == []
        assert target.memory() == core.memory() == [Range(0, 0x800000), Range(0xFFFF0000, 0x100000000)]
        for part in core.memory():
            assert target.read(part.start, part.size) == core.read(part.start, part.size)
        assert target.notes == core.notes
        assert target.cpus() == core.cpus()
        assert target.read(0x200FFC, 8) == core.read(0x200FFC, 8)
        with pytest.raises(NotReadable) as caught:
            target.read(0x7FFFF0, 0x20)
        assert (caught.value.address, caught.value.size) == (0x800000, 0x10)


def test_a_real_one_unflattened_is_the_same(unpacked: Paths, tmp_path: Path) -> None:
    flattened = unpacked("tiny/zlib.kdump")
    path = tmp_path / "plain"
    blocks = []
    raw, at = flattened.read_bytes(), 4096
    while (header := struct.unpack_from(">qq", raw, at)) != (-1, -1):
        blocks.append((header[0], raw[at + 16 : at + 16 + header[1]]))
        at += 16 + header[1]
    path.write_bytes(plain(blocks))
    with Kdump(path) as one, Kdump(flattened) as other:
        assert one.warnings == []
        assert one.memory() == other.memory()
        assert one.read(0, 0x800000) == other.read(0, 0x800000)
        assert one.cpus() == other.cpus()


PAGES = st.dictionaries(st.integers(0, 70), st.integers(0, 255), max_size=9)


@given(PAGES, st.sets(st.integers(0, 70)), st.integers(0, 71 * 4096), st.integers(0, 5000), st.booleans(), st.randoms())
def test_random_layouts(
    scratch: Path,
    seeds: dict[int, int],
    unpacked_pages: set[int],
    address: int,
    size: int,
    flattened: bool,
    rng: random.Random,
) -> None:
    pages = {number: random.Random(seed).randbytes(64) * 64 for number, seed in seeds.items()}
    blocks = kdump(pages, dict.fromkeys(unpacked_pages, PLAIN))
    if flattened:
        pieces = [(o + i, d[i : i + 1500]) for o, d in blocks for i in range(0, len(d), 1500)]
        rng.shuffle(pieces)
        garbage = [(offset + len(data) // 3, rng.randbytes(len(data) // 2)) for offset, data in pieces[:4]]
        scratch.write_bytes(flat(garbage + pieces))
    else:
        scratch.write_bytes(plain(blocks))
    with Kdump(scratch) as target:
        assert target.warnings == []
        assert [n for r in target.memory() for n in range(r.start >> 12, r.end >> 12)] == sorted(pages)
        missing = next((at for at in range(address, address + size) if at >> 12 not in pages), None)
        if missing is None:
            assert target.read(address, size) == bytes(
                pages[at >> 12][at & 4095] for at in range(address, address + size)
            )
        else:
            with pytest.raises(NotReadable) as caught:
                target.read(address, size)
            assert (caught.value.address, caught.value.size) == (missing, address + size - missing)


def test_pages_far_apart(scratch: Path) -> None:
    pages = {number: struct.pack("<Q", number) * 512 for number in (0, 4095, 4096, 4097, 1 << 20, (1 << 22) + 9)}
    for write in (plain, flat):
        scratch.write_bytes(write(kdump(pages)))
        with Kdump(scratch) as target:
            for number in pages:
                assert target.read(number * 4096 + 8, 8) == struct.pack("<Q", number)
            assert len(target.memory()) == 4
            for absent in (1, 4098, (1 << 22) + 10, 1 << 52, -1):
                with pytest.raises(NotReadable):
                    target.read(absent * 4096, 8)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"block_size": 65536}, "is a kdump with blocks of 65536 bytes; expected 4096"),
        ({"max_mapnr": 1 << 60}, f"is damaged: its header tells of {1 << 60} pages"),
        ({"max_mapnr": 1 << 32, "bitmap_blocks": 2**32 - 1}, "is cut short: its bitmaps end at"),
        ({"max_mapnr": 32769}, "is damaged: its header tells of 32769 pages"),
        ({"bitmap_blocks": 2**32 - 1}, "is cut short: its bitmaps end at"),
        ({"sub_hdr_size": 2**32 - 1}, "is cut short: its bitmaps end at"),
    ],
)
@pytest.mark.parametrize("write", [plain, flat])
def test_headers_that_make_no_sense(
    scratch: Path, write: Callable[[list[Block]], bytes], header: dict[str, int], expected: str
) -> None:
    scratch.write_bytes(write(kdump({3: bytes(4096)}, **header)))
    with pytest.raises(TargetError) as caught:
        Kdump(scratch)
    assert str(caught.value).startswith(f"{scratch} {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.thorough
def test_a_huge_sparse_bitmap_costs_no_memory(scratch: Path) -> None:
    blocks = kdump({3: b"page" * 1024}, max_mapnr=1 << 30, bitmap_blocks=1 << 16)
    (_, head), (_, sub), _, (_, bitmap), (_, table), (_, data) = blocks
    table_at = 8192 + (1 << 28)
    with scratch.open("wb") as file:
        for at, part in ((0, head), (4096, sub), (8192 + (1 << 27), bitmap), (table_at, table)):
            file.seek(at)
            file.write(part)
        file.seek(table_at)
        file.write(struct.pack("<QIIQ", table_at + 24, len(data), ZLIB, 0) + data)
    peak = _peak_of(scratch, 3 * 4096)
    assert peak < 100 << 10  # KiB; the bitmap alone is 128 MiB


def _peak_of(path: Path, address: int) -> int:
    """Peak resident memory, in KiB, of a process that opens a dump, lists its memory and reads a page."""
    # Not ru_maxrss: that begins with the peak of the process that started this one.
    code = (
        "import re; from inspector.targets.dump.kdump import Kdump\n"
        f"t = Kdump({str(path)!r}); t.memory(); assert t.read({address}, 4) == b'page'\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    root = Path(__file__).parents[4]
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return int(answer.stdout)


def test_damaged_pages_are_not_readable_and_the_others_are(scratch: Path) -> None:
    pages = {number: bytes([number]) * 4096 for number in range(6)}
    blocks = kdump(pages)
    table = bytearray(blocks[4][1])
    struct.pack_into("<I", table, 24 * 1 + 8, 0)  # no bytes at all
    struct.pack_into("<Q", table, 24 * 2, 2**64 - 1)  # beyond the file
    struct.pack_into("<I", table, 24 * 3 + 12, PLAIN)  # packed, but said not to be
    struct.pack_into("<Q", table, 24 * 4, 4096)  # not zlib
    bomb = zlib.compress(bytes(1 << 22))
    data = blocks[5][1] + bomb
    struct.pack_into("<QI", table, 24 * 5, blocks[5][0] + len(blocks[5][1]), len(bomb))
    scratch.write_bytes(plain([*blocks[:4], (blocks[4][0], bytes(table)), (blocks[5][0], data)]))
    with Kdump(scratch) as target:
        assert "the file is cut short" in target.warnings[0]
        assert target.read(0, 4096) == pages[0]
        for number in range(1, 6):
            with pytest.raises(NotReadable) as caught:
                target.read(number * 4096 + 16, 8)
            assert caught.value.address == number * 4096 + 16
        with pytest.raises(NotReadable) as caught:
            target.read(0, 8192)
        assert (caught.value.address, caught.value.size) == (4096, 4096)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.79])
def test_a_real_kdump_cut_within_its_bitmap(unpacked: Paths, tmp_path: Path, part: float) -> None:
    path = tmp_path / "cut"
    whole = unpacked("tiny/zlib.kdump").read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(TargetError, match="is cut short"):
        Kdump(path)


@pytest.mark.parametrize("part", [0.85, 0.9, 0.97, 0.99999])
def test_a_real_kdump_cut_within_its_pages(unpacked: Paths, tmp_path: Path, part: float) -> None:
    path = tmp_path / "cut"
    whole = unpacked("tiny/zlib.kdump").read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    pages = [(at, 4096) for at in (*range(0, 0x800000, 0x40000), 0x200000, 0x300000, 0xFFFF0000, 0xFFFFF000)]
    with Kdump(unpacked("tiny/zlib.kdump")) as full, Kdump(path) as cut:
        assert "the file is cut short: it has no end mark" in cut.warnings[0]
        for found, wanted in zip(cut.read_parts(pages), full.read_parts(pages), strict=True):
            assert found in (None, wanted)


def test_flattened_files_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "flat"
    blocks = kdump({0: b"a" * 4096})
    for bad in (struct.pack(">qq", 0, 0), struct.pack(">qq", -5, 10), struct.pack(">qq", 2**62, 2**62)):
        path.write_bytes(flat(blocks, end=False) + bad + bytes(64))
        with Kdump(path) as target:
            assert "is damaged" in target.warnings[0]
            assert target.read(0, 4) == b"aaaa"
    for raw, expected in (
        (b"makedumpfile".ljust(4095, b"\0"), "cut short: 4095 bytes of a flattened dump's header of 4096"),
        (struct.pack(">16sqq", b"makedumpfile", 2, 7).ljust(5000, b"\0"), "a flattened dump of type 2, version 7"),
        (flat([]), "is no kdump: it begins with b''"),
        (flat([(0, b"not a kdump at all")]), "is no kdump: it begins with b'not a kd'"),
    ):
        path.write_bytes(raw)
        with pytest.raises(TargetError) as caught:
            Kdump(path)
        assert expected in str(caught.value)


def test_a_kdump_cut_while_it_is_read(tmp_path: Path, unpacked: Paths) -> None:
    path = tmp_path / "kdump"
    path.write_bytes(unpacked("tiny/zlib.kdump").read_bytes())
    with Kdump(path) as target:
        os.truncate(path, 8192)
        with pytest.raises(NotReadable, match="cut short"):
            target.read(0x200000, 8)


@pytest.mark.parametrize("flag", [LZO, SNAPPY, ZSTD])
@pytest.mark.parametrize("write", [plain, flat])
def test_pages_in_any_packing(scratch: Path, write: Callable[[list[Block]], bytes], flag: int) -> None:
    pages = {number: (b"page %d " % number * 600)[:4096] for number in (0, 1, 5, 6)} | {9: os.urandom(4096)}
    scratch.write_bytes(write(kdump(pages, {1: flag, 5: flag, 6: flag, 9: flag}, status=flag)))
    with Kdump(scratch) as target:
        assert target.warnings == []
        assert target.read(0, 8192) == pages[0] + pages[1]
        assert target.read(5 * 4096, 8192) == pages[5] + pages[6]
        assert target.read(9 * 4096, 4096) == pages[9]


@given(st.sampled_from([LZO, SNAPPY, ZSTD]), st.binary(min_size=1, max_size=200), st.integers(0, 8000), st.booleans())
def test_a_page_that_does_not_unpack_says_so(scratch: Path, flag: int, garbage: bytes, size: int, longer: bool) -> None:
    """Garbage, and packed bytes of less or more than a page, as large as a descriptor may say."""
    packed = (PACK[flag](bytes(size)) if size != 4096 else garbage)[:8192] if longer else garbage
    blocks = kdump({0: bytes(4096), 1: bytes(4096)}, {1: PLAIN})
    table = bytearray(blocks[4][1])
    struct.pack_into("<QII", table, 24, blocks[5][0] + len(blocks[5][1]), len(packed), flag)
    scratch.write_bytes(plain([*blocks[:4], (blocks[4][0], bytes(table)), (blocks[5][0], blocks[5][1] + packed)]))
    with Kdump(scratch) as target:
        assert target.read(0, 4096) == bytes(4096)
        with pytest.raises(NotReadable, match="unpack"):
            target.read(4096, 8)


def test_a_descriptor_with_unknown_flags_says_so(scratch: Path) -> None:
    blocks = kdump({0: bytes(4096)})
    table = bytearray(blocks[4][1])
    struct.pack_into("<I", table, 12, 0x40)
    scratch.write_bytes(plain([*blocks[:4], (blocks[4][0], bytes(table)), blocks[5]]))
    with Kdump(scratch) as target, pytest.raises(NotReadable, match=r"damaged \(flags 0x40\)"):
        target.read(0, 8)


@pytest.mark.thorough
@given(
    st.dictionaries(st.integers(0, 70), st.integers(0, 255), min_size=1, max_size=12),
    st.lists(st.integers(0, 72), max_size=4),
    st.integers(0, 72 * 4096),
    st.integers(0, 30000),
    st.data(),
)
def test_parts_of_a_split_dump_are_one(
    tmp_path_factory: pytest.TempPathFactory,
    seeds: dict[int, int],
    cuts: list[int],
    address: int,
    size: int,
    data: st.DataObject,
) -> None:
    """Whichever part is opened; parts without pages, as makedumpfile makes of a Xen, and other dumps do no harm."""
    directory = tmp_path_factory.mktemp("split")
    pages = {number: random.Random(seed).randbytes(64) * 64 for number, seed in seeds.items()}
    bounds = [0, *sorted(cuts), 72]
    parts = list(itertools.pairwise(bounds))
    for number, (first, last) in enumerate(parts):
        mine = {page: raw for page, raw in pages.items() if first <= page < last}
        header = {"split": 1, "start_pfn": first, "end_pfn": last, "max_mapnr": 72}
        blocks = kdump(mine, elsewhere=pages, **header)
        (directory / f"part-{number}").write_bytes((flat if number % 2 else plain)(blocks))
    (directory / "other").write_bytes(plain(kdump({3: bytes(4096)}, split=1, start_pfn=0, end_pfn=9)))
    (directory / "note.txt").write_text("not a dump")
    opened = data.draw(st.sampled_from([n for n, (first, last) in enumerate(parts) if first < last]))
    with Kdump(directory / f"part-{opened}") as target:
        assert target.warnings == []
        assert [n for r in target.memory() for n in range(r.start >> 12, r.end >> 12)] == sorted(pages)
        missing = next((at for at in range(address, address + size) if at >> 12 not in pages), None)
        if missing is None:
            assert target.read(address, size) == bytes(
                pages[at >> 12][at & 4095] for at in range(address, address + size)
            )
        else:
            with pytest.raises(NotReadable) as caught:
                target.read(address, size)
            assert (caught.value.address, caught.value.size) == (missing, address + size - missing)


def test_a_missing_part_is_told(tmp_path: Path) -> None:
    for name, first, last in (("a", 0, 10), ("c", 20, 30)):
        pages = {page: bytes([page]) * 4096 for page in range(first, last)}
        header = {"split": 1, "start_pfn": first, "end_pfn": last, "max_mapnr": 30}
        (tmp_path / name).write_bytes(plain(kdump(pages, elsewhere=range(30), **header)))
    with Kdump(tmp_path / "c") as target:
        (warning,) = target.warnings
        assert "the part with pages 0xa to 0x13 is not in its directory: put them side by side" in warning
        assert target.read(25 * 4096, 4) == bytes([25]) * 4
        assert target.read(5 * 4096, 4) == bytes([5]) * 4
        with pytest.raises(NotReadable):
            target.read(15 * 4096, 4)


def test_parts_that_are_named_need_not_lie_side_by_side(tmp_path: Path) -> None:
    places = []
    for name, first, last in (("a", 0, 10), ("b", 10, 20), ("c", 20, 30)):
        pages = {page: bytes([page]) * 4096 for page in range(first, last)}
        header = {"split": 1, "start_pfn": first, "end_pfn": last, "max_mapnr": 30}
        (tmp_path / name).mkdir()
        places.append(str(tmp_path / name / "part"))
        Path(places[-1]).write_bytes(plain(kdump(pages, elsewhere=range(30), **header)))
    with open_file(places[1], more=[places[2], places[0]]) as target:
        assert target.warnings == []
        assert target.read(9 * 4096, 3 * 4096)[::4096] == bytes([9, 10, 11])
        assert set(target.files) == {*places}
    with open_file(places[1], more=[places[0]]) as target:
        (warning,) = target.warnings
        assert "the part with pages 0x14 to 0x1d is not among the files named" in warning
    other, whole = tmp_path / "other", tmp_path / "whole"
    other.write_bytes(plain(kdump({3: bytes(4096)}, split=1, start_pfn=0, end_pfn=9)))
    whole.write_bytes(plain(kdump({3: bytes(4096)})))
    with pytest.raises(TargetError, match="other is no part of the split kdump"):
        open_file(places[0], more=[str(other)])
    with pytest.raises(TargetError, match="whole is a whole kdump"):
        open_file(whole, more=places)
    whole.write_text("(XEN) APIC error on CPU3: 00(08)\n")
    with pytest.raises(UsageError, match="several files are the parts of a split kdump"):
        open_file(whole, more=places)


def test_a_page_of_each_two_costs_little(scratch: Path) -> None:
    """1.1 MB of file whose bitmaps tell of 2.2 million runs of pages; all but one are not in the file."""
    count = 1 << 22
    blocks = kdump({2: b"page" * 1024}, max_mapnr=count, bitmap_blocks=2 * (count >> 15))
    (_, head), (_, sub), _, _, _, (_, data) = blocks
    half = count >> 3
    place = 8192 + 2 * half
    scratch.write_bytes(
        plain(
            [
                (0, head),
                (4096, sub),
                (8192, b"\xff" * half),
                (8192 + half, b"\x54" + b"\x55" * (half - 1)),
                (place, struct.pack("<QIIQ", place + 24, len(data), ZLIB, 0) + data),
            ]
        )
    )
    assert scratch.stat().st_size < 1_200_000
    with Kdump(scratch) as target:
        assert "its pages do not" in target.warnings[0]
        assert target.read(8192, 4) == b"page"
        assert target.memory().size < 1 << 20
    assert _peak_of(scratch, 8192) < 100 << 10


@given(st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=20)), max_size=8), st.integers(0, 70))
def test_later_blocks_win(scratch: Path, blocks: list[Block], at: int) -> None:
    from inspector.targets.dump.file import File

    held: dict[int, int] = {}
    for offset, data in blocks:
        held |= {offset + i: byte for i, byte in enumerate(data)}
    wanted = bytearray()
    while at + len(wanted) in held:
        wanted.append(held[at + len(wanted)])
    scratch.write_bytes(flat(blocks))
    file = File(scratch)
    unpacked = Flattened(file)
    assert unpacked.read(at, 100) == wanted
    assert unpacked.size == max(held, default=-1) + 1
    file.close()


@given(st.integers(0, 330_679), st.lists(st.tuples(st.integers(0, 7000), st.integers(0, 255)), max_size=6))
def test_damage_never_ends_in_a_traceback(
    scratch: Path, unpacked: Paths, use_damaged: Callable[..., None], cut: int, flips: list[tuple[int, int]]
) -> None:
    damaged = bytearray(unpacked("tiny/zlib.kdump").read_bytes())
    damaged = damaged[: len(damaged) if cut % 2 else cut]
    for at, value in flips:
        if at < len(damaged):
            damaged[at] = value
    scratch.write_bytes(damaged)
    use_damaged(Kdump, scratch)


@pytest.mark.thorough
def test_random_damage_of_one_header_field_at_a_time(
    scratch: Path, elf_note: Callable[..., bytes], use_damaged: Callable[..., None]
) -> None:
    notes = elf_note("CORE", 1, bytes(336))
    for write in (plain, flat):
        whole = write(kdump(dict.fromkeys(range(3, 40), b"x" * 4096), notes=notes))
        for at in (*range(0, 480, 4), *range(4096, 4600, 4), *range(8192, 8800, 8), *range(16384, 17200, 4)):
            for value in (b"\xff" * 8, random.Random(at).randbytes(8)):
                scratch.write_bytes(whole[:at] + value + whole[at + 8 :])
                use_damaged(Kdump, scratch)
