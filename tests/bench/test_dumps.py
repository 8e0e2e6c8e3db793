"""Opening and reading dumps of a machine with 512 MiB: time and memory. Printed, not judged.

The files are as large as real ones but mostly holes; the time is that of the reader, not of a disk.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
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


def test_the_table_of_a_crashed_xen_of_3_gib(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`irt` of a vmcore, against drgn's opening of the same file (it then refuses: no vmcoreinfo of a Linux)."""
    path = crashed_core(tmp_path)
    irt = [str(Path(sys.executable).with_name("vtdpi")), "dump", str(path), "irt", "--json"]
    code = (
        "import sys, drgn\ntry: drgn.Program().set_core_dump(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    ways = {"vtdpi irt": irt, "drgn opens": [sys.executable, "-c", code, str(path)]}
    best = dict.fromkeys(ways, 1e9)
    # As installed: with its bytecode.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path / "bytecode")
    for _ in range(6):
        for name, words in ways.items():
            began = time.perf_counter()
            answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
            best[name] = min(best[name], time.perf_counter() - began)
            assert name != "vtdpi irt" or (answer.returncode == 0 and '"entries"' in answer.stdout), answer.stderr
    with capsys.disabled():
        ratio = best["vtdpi irt"] / best["drgn opens"]
        print("\nvmcore of 3 GiB: " + ", ".join(f"{name} {took * 1e3:.0f} ms" for name, took in best.items()), end="")
        print(f", ratio {ratio:.2f} (aim 1.5)")


def test_a_kdump_whose_bitmap_alternates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1.1 MB that tell of 2.2 million runs of pages, and no Xen in it."""
    half = 1 << 19
    head = struct.pack("<8sI412xIIII", b"KDUMP   ", 6, 1, 4096, 1, half // 4096 * 2) + struct.pack(
        "<6I", 8 * half, *[0] * 5
    )
    sub = bytes(96) + struct.pack("<Q", 8 * half)
    path = tmp_path / "kdump"
    path.write_bytes(head.ljust(4096, b"\0") + sub.ljust(4096, b"\0") + b"\xff" * half + b"\x55" * half)
    code = (
        "import re, sys, time; began = time.perf_counter()\n"
        "from inspector.frontends.cli import main\n"
        "try: main(['dump', sys.argv[1], 'info'])\n"
        "except SystemExit: pass\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) >> 10\n"
        "print('%.2f s, %d MiB' % (time.perf_counter() - began, peak), file=sys.stderr)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    with capsys.disabled():
        print(f"\nalternating kdump, info: {answer.stderr.splitlines()[-1]} (aims 1 s, 100 MiB)")


def crashed_core(directory: Path) -> Path:
    """A simulated Xen as if it had crashed, in a sparse core that holds 3 GiB besides."""
    from inspector.targets.dump.elf_core import ElfCore
    from sim_backend.debug.elf_core import write_core as write_simulated
    from sim_backend.layout.builder import PHYS_START
    from sim_backend.machine.machine import Machine
    from sim_backend.scenario.scenario import load

    machine = Machine(load("idle"))
    write_simulated(machine, directory / "small")
    with ElfCore(directory / "small") as core:
        parts = [(known.start, core.read(known.start, known.size)) for known in core.memory()]
    root = machine.layout.profile.symbol("idle_pg_table")
    notes = b""
    for owner, kind, data in (
        ("Xen", 0x1000001, struct.pack("<10Q", 4, 20, *[0] * 6, PHYS_START, 0)),
        ("VMCOREINFO_XEN", 0, b"SYMBOL(pgd_l4)=%x\n" % root),
    ):
        name = owner.encode() + b"\0"
        notes += struct.pack("<III", len(name), len(data), kind)
        notes += name + bytes(-len(name) % 4) + data + bytes(-len(data) % 4)
    large = 3 << 30
    count = len(parts) + 2
    at = 64 + 56 * count
    rows = [struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(notes), len(notes), 0)]
    at += len(notes)
    for start, raw in parts:
        rows.append(struct.pack("<IIQQQQQQ", 1, 6, at, 0, start, len(raw), len(raw), 0))
        at += len(raw)
    rows.append(struct.pack("<IIQQQQQQ", 1, 6, at, 0, 8 << 30, large, large, 0))
    head = struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 4, 62, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    path = directory / "vmcore"
    with path.open("wb") as file:
        file.write(head + b"".join(rows) + notes + b"".join(raw for _, raw in parts))
        file.truncate(at + large)
    return path
