from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from inspector.base.errors import NotReadable, TargetError, UsageError
from inspector.targets.dump.raw_image import RawImage, read_size
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range


def test_a_plain_image(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    content = os.urandom(3 * 4096)
    path.write_bytes(content)
    with RawImage(path) as target:
        assert target.memory() == [Range(0, 3 * 4096)]
        assert target.read(4090, 5000) == content[4090:9090]
        assert target.cpus() == []
        with pytest.raises(NotReadable) as caught:
            target.read(8192, 8192)
        assert (caught.value.address, caught.value.size) == (12288, 4096)
    with RawImage(path, base=0x100000) as target:
        assert target.memory() == [Range(0x100000, 0x103000)]
        assert target.read(0x101000, 4096) == content[4096:8192]
        with pytest.raises(NotReadable):
            target.read(0, 8)


def test_holes_read_as_zeros_and_are_not_scanned(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        for at in (0, 0x10000000, 0x3FFFF000):
            file.seek(at)
            file.write(b"x" * 4096)
    with RawImage(path) as target:
        ranges = target.memory()
        assert sum(r.size for r in ranges) < 1 << 20
        for at in (0, 0x10000000, 0x3FFFF000):
            assert any(r.start <= at < r.end for r in ranges)
        assert target.read(0x10000FF8, 16) == b"x" * 8 + bytes(8)
        assert target.read(0x3FFFFFF8, 8) == b"x" * 8


def test_ram_around_the_pci_hole(tmp_path: Path) -> None:
    path = tmp_path / "ram"
    with path.open("wb") as file:
        file.truncate(3 << 30)
        file.seek((2 << 30) - 4)
        file.write(b"low.high")
    with RawImage(path, below_4g=2 << 30) as target:
        assert target.read((2 << 30) - 4, 4) == b"low."
        assert target.read(4 << 30, 4) == b"high"
        assert list(target.warnings) == []
        with pytest.raises(NotReadable) as caught:
            target.read((2 << 30) - 4, 8)
        assert caught.value.address == 2 << 30
        assert target.read(5 * (1 << 30) - 8, 8) == bytes(8)
        assert [r.start >> 30 for r in target.memory()] == [1, 4]
    with RawImage(path) as target:
        assert "RAM from 4 GiB on" in target.warnings[0]
        assert target.read((2 << 30) - 4, 8) == b"low.high"


@pytest.mark.parametrize("base", [-4096, 1 << 52, 1 << 80])
def test_an_impossible_base_is_refused(tmp_path: Path, base: int) -> None:
    path = tmp_path / "raw"
    path.write_bytes(bytes(4096))
    with pytest.raises(TargetError, match="cannot be the base"):
        RawImage(path, base=base)


def test_part_of_a_page_is_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(bytes(4097))
    with pytest.raises(TargetError, match="4097 bytes are not a whole number of 4096-byte pages"):
        RawImage(path)


@pytest.mark.parametrize(
    ("word", "size"), [("2G", 2 << 30), ("3072m", 3 << 30), ("0x80000000", 2 << 30), ("0", 0), ("12", 12), ("4k", 4096)]
)
def test_sizes_as_people_write_them(word: str, size: int) -> None:
    assert read_size(word) == size


@pytest.mark.parametrize("word", ["", "two", "2T", "-1", "2 G", "1" * 99, "0x" + "f" * 20])
def test_what_is_no_size_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        read_size(word)


def sparse(path: Path, size: int, smbios: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        if smbios:
            table = smbios + struct.pack("<BBH", 127, 4, 9) + b"\0\0"
            file.seek(0xF4000)
            file.write(b"_SM3_" + bytes(7) + struct.pack("<IQ", len(table), 0xF5000))
            file.seek(0xF5000)
            file.write(table)
        file.seek(2 << 30)
        file.write(b"beyond 2 GiB")
    return path


def mapped(start: int, end: int) -> bytes:
    return struct.pack("<BBHIIHB", 19, 15, 1, start >> 10, (end >> 10) - 1, 2, 1) + b"\0\0"


def test_the_firmware_says_where_the_hole_is(tmp_path: Path) -> None:
    told = mapped(0, 2 << 30) + mapped(4 << 30, 5 << 30)
    with RawImage(sparse(tmp_path / "q35", 3 << 30, told)) as target:
        assert target.read(4 << 30, 6) == b"beyond"
        assert "from 0x80000000 on it is memory at 4 GiB" in target.description
        assert list(target.warnings) == []
    with RawImage(sparse(tmp_path / "pmemsave", 5 << 30, told)) as target:
        assert target.read(2 << 30, 6) == b"beyond"
        assert list(target.warnings) == []
    with RawImage(sparse(tmp_path / "no gap", 3 << 30, mapped(0, 3 << 30))) as target:
        assert target.read(2 << 30, 6) == b"beyond"
        assert list(target.warnings) == []
    with RawImage(sparse(tmp_path / "another machine's", 6 << 30, told)) as target:
        assert "--hole" in target.warnings[0]


def test_a_vmem_has_the_hole_from_3_gib_on(tmp_path: Path) -> None:
    with RawImage(sparse(tmp_path / "machine.vmem", 4 << 30)) as target:
        assert target.read(2 << 30, 6) == b"beyond"
        assert target.read(4 << 30, 8) == bytes(8)
        assert [r.end for r in target.memory()][-1] <= 3 << 30
    with RawImage(sparse(tmp_path / "small.vmem", 3 << 30)) as target:
        assert target.read(2 << 30, 6) == b"beyond"


def test_the_user_says_where_the_hole_is(tmp_path: Path) -> None:
    path = sparse(tmp_path / "ram", 3 << 30)
    with open_file(path, hole="2G") as target:
        assert target.read(4 << 30, 6) == b"beyond"
    with open_file(path, hole="0") as target:
        assert target.read(2 << 30, 6) == b"beyond"
        assert list(target.warnings) == []
    (tmp_path / "note.lime").write_bytes(struct.pack("<4sIQQ8x", b"EMiL", 1, 0, 4095) + bytes(4096))
    with pytest.raises(UsageError, match="--hole is for a raw image, and LiME image"):
        open_file(tmp_path / "note.lime", hole="2G")
