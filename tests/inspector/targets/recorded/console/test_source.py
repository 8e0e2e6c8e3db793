"""Where texts come from: plain, compressed and archived files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
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


@pytest.mark.thorough
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


def tar(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    """As `xen-bugtool --output=zip` writes one: small members stored, the others deflated."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if len(content) < 50 else zipfile.ZIP_DEFLATED)
    return path


def test_a_zip_archive_and_the_archives_in_it(tmp_path: Path) -> None:
    inner = tar({"crash/xen.log": TEXT, "crash/old.gz": gzip.compress(TEXT)})
    path = zipped(
        tmp_path / "bug.zip", {"a/xen-dmesg.out": TEXT, "a/small": b"x", "a/crash.tar": inner, "a/empty": b""}
    )
    assert read(path) == [("xen-dmesg.out", TEXT), ("small", b"x"), ("xen.log", TEXT), ("old.gz", TEXT), ("empty", b"")]


def test_of_a_damaged_zip_the_rest_is_read_and_the_damage_told(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bug.zip", {"a": os.urandom(300_000), "b": TEXT, "c": TEXT})
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        second, third = archive.infolist()[1:]
    whole[second.header_offset + 40] ^= 0xFF
    whole[third.header_offset] ^= 0xFF
    path.write_bytes(whole)
    found = [(text.name, b"".join(text.chunks()), text.problem) for text in source.texts(str(path))]
    assert [name for name, _, _ in found] == [f"{path}:a", f"{path}:b", f"{path}:c"]
    assert [bool(problem) for _, _, problem in found] == [False, True, True]
    path.write_bytes(whole[:-30])
    (text,) = source.texts(str(path))
    assert "is damaged, and ends there: " in text.problem
    assert not text.is_text


def test_pieces_are_whole_lines_and_long_lines_end() -> None:
    long = b"x" * (3 * source.FIRST_CHUNK)
    pieces = list(source.Text("log", io.BytesIO(TEXT + long + b"\nend")).chunks())
    assert b"".join(pieces) == TEXT + long + b"\nend"
    assert max(map(len, pieces)) <= 3 * source.FIRST_CHUNK
    assert pieces[0].startswith(b"(XEN) hello\n")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(TargetError, match="No such file"):
        read("/nowhere/at/all")
