"""Opening and reading dumps of a machine with 512 MiB: time and memory. Printed, not judged.

The files are as large as real ones but mostly holes; the time is that of the reader, not of a disk.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIZE = 512 << 20
MEASURE = """
import re, sys, time
def peak():  # not ru_maxrss: that begins with the peak of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
began = time.perf_counter()
from inspector.targets.open_file import open_file
imported = time.perf_counter()
with open_file(sys.argv[1]) as target:
    ranges = target.memory()
    opened = time.perf_counter()
    for at in range(0x10000000, 0x10100000, 4096):
        target.read(at, 4096)
    paged = time.perf_counter()
    target.read(0x10000000, 1 << 20)
    read = time.perf_counter()
    small = peak()
    for part in ranges:
        for at in range(part.start, part.end, 1 << 20):
            target.read(at, min(1 << 20, part.end - at))
    scanned = time.perf_counter()
times = (imported - began, opened - imported, paged - opened, read - paged, scanned - read)
words = "import %.1f ms, open %.1f ms, 256 pages %.2f ms, 1 MiB %.2f ms, scan %.0f ms"
print(words % tuple(1e3 * t for t in times), end="; ")
print("peak memory %d MiB, after the scan %d MiB" % (small >> 10, peak() >> 10))
"""

Core = Callable[..., bytes]


def measure(name: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", MEASURE, str(path)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    with capsys.disabled():
        print(f"\n{name}: {answer.stdout}", end="")


def test_an_elf_core(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure("ELF core, 1 segment", write_core(tmp_path / "core", [(0, SIZE, 0)]), capsys)


def test_an_elf_core_with_very_many_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As paging=true makes them: all memory once, then 60,000 of its pages once more."""
    segments = [(0, SIZE, 0)] + [(page << 12, 4096, page << 12) for page in range(0, 120_000, 2)]
    measure("ELF core, 60,001 segments", write_core(tmp_path / "core", segments), capsys)


def test_a_raw_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(0x10000000)
        file.write(os.urandom(1 << 20))
    measure("raw image", path, capsys)


def test_a_flattened_kdump(unpacked: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A real one, of 8 MiB; 300 of its pages are read again and again."""
    began_at = 0x200000
    code = (
        "import sys, time; from inspector.targets.open_file import open_file\n"
        "began = time.perf_counter(); target = open_file(sys.argv[1]); opened = time.perf_counter()\n"
        f"for i in range(3000): target.read({began_at} + i % 300 * 4096, 4096)\n"
        "print('open %.1f ms, a page %.1f us' % ((opened - began) * 1e3, (time.perf_counter() - opened) / 3000 * 1e6))"
    )
    command = [sys.executable, "-c", code, str(unpacked("tiny/zlib.kdump"))]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    with capsys.disabled():
        print(f"\nflattened kdump: {answer.stdout}", end="")


def write_core(path: Path, segments: list[tuple[int, int, int]]) -> Path:
    """A sparse ELF core of segments (address, size, offset within the data), with random bytes in its second half."""
    data_at = 64 + 56 * len(segments)
    head = struct.pack(
        "<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 4, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0
    )
    rows = [struct.pack("<IIQQQQQQ", 1, 6, data_at + at, 0, start, size, size, 0) for start, size, at in segments]
    with path.open("wb") as file:
        file.write(head + b"".join(rows))
        file.truncate(data_at + SIZE)
        file.seek(data_at + 0x10000000)
        file.write(os.urandom(1 << 20))
    return path
