from __future__ import annotations

import os
from pathlib import Path

import pytest

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump.raw_image import RawImage
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
