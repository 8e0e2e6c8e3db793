"""Where texts come from: plain, compressed and archived files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from inspector.base.errors import TargetError
from inspector.targets.recorded.console import source

TEXT = b"(XEN) hello\n" * 1000
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


def read(path: Path | str) -> list[tuple[str, bytes]]:
    """Names and texts."""
    return [(text.name.rpartition("/")[2], b"".join(text.chunks())) for text in source.texts(str(path))]


@pytest.mark.parametrize("kind", PACK)
def test_compressed_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(PACK[kind](TEXT))
    assert source.is_compressed(path.read_bytes())
    assert read(path) == [("log", TEXT)]


@pytest.mark.parametrize("kind", PACK)
def test_a_compressed_file_that_is_cut_tells_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    whole = PACK[kind](os.urandom(1_000_000).hex().encode())
    path.write_bytes(whole[: len(whole) // 2])
    for text in source.texts(str(path)):
        count = sum(map(len, text.chunks()))
        assert text.problem.startswith(f"{path} is damaged after {count} bytes of its text, and ends there: ")
        assert count > 100_000


def test_a_file_that_only_begins_like_a_compressed_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for head in source.COMPRESSIONS:
        path.write_bytes(head + b"garbage" * 100)
        with pytest.raises(TargetError, match="cannot be read"):
            list(source.texts(str(path)))


def test_an_archive_of_archives_members(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in (("a/xen-dmesg.out", TEXT), ("a/log.1.gz", gzip.compress(TEXT)), ("a/other", b"x")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    path = tmp_path / "bugtool"
    path.write_bytes(packed.getvalue())
    assert read(path) == [("xen-dmesg.out", TEXT), ("log.1.gz", TEXT), ("other", b"x")]


def test_pieces_are_whole_lines_and_long_lines_end() -> None:
    long = b"x" * (3 * source.FIRST_CHUNK)
    pieces = list(source.Text("log", io.BytesIO(TEXT + long + b"\nend")).chunks())
    assert b"".join(pieces) == TEXT + long + b"\nend"
    assert max(map(len, pieces)) <= 3 * source.FIRST_CHUNK
    assert pieces[0].startswith(b"(XEN) hello\n")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(TargetError, match="No such file"):
        read("/nowhere/at/all")
