from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.base.errors import TargetError
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.dump.kdump import Kdump
from inspector.targets.dump.raw_image import RawImage
from inspector.targets.open_file import open_file

Paths = Callable[[str], Path]
ROOT = Path(__file__).parents[3]


def test_kinds_are_told_by_content(unpacked: Paths, golden: Paths, tmp_path: Path) -> None:
    raw = tmp_path / "misleading.core"
    raw.write_bytes(bytes(8192))
    for path, kind in (
        (golden("lost-wakeup"), ElfCore),
        (unpacked("tiny/paging-true.core"), ElfCore),
        (unpacked("tiny/zlib.kdump"), Kdump),
        (raw, RawImage),
    ):
        with open_file(path) as target:
            assert type(target) is kind
            assert target.description == f"{kind.kind} {path}"
            assert len(target.read(0, 4096)) == 4096
        with open_file(str(path)) as target:
            assert type(target) is kind


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; expected a dump file"),
        (b"just some text\n" * 9, "is a text file; expected a memory dump (ELF core, kdump or raw image)"),
        ("Grüße\n".encode(), "is a text file"),
        (gzip.compress(b"x", mtime=0), "is compressed with gzip: unpack it first (gunzip)"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "is compressed with zstd: unpack it first (zstd -d)"),
        (b"QEVM" + bytes(99), "is a QEMU migration stream"),
        (b"\xd2\xbe\xd2\xbe" + bytes(4092), "is VMware's saved state (.vmss, .vmsn): open the .vmem beside it"),
        (b"PAGEDU64" + bytes(99), "is a Windows crash dump"),
        (bytes(4095), "is no dump that vtdpi knows, and no raw image of memory either: 4095 bytes are not"),
        (b"\x7fELF", "is cut short: 4 bytes of an ELF header of 64"),
        (b"KDUMP   ", "is cut short: its kdump headers are not whole"),
        (b"makedumpfile", "is cut short: 12 bytes of a flattened dump's header of 4096"),
    ],
)
def test_what_is_no_dump_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(TargetError) as caught:
        open_file(path)
    assert str(caught.value).startswith(f"{path} {expected}")
    assert "\n" not in str(caught.value)


def test_real_files_that_are_no_dumps(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"is an ELF (executable|shared object), not a core: if it is a xen-syms"):
        open_file(Path(sys.executable).resolve())
    with pytest.raises(TargetError, match="is a directory; expected a dump file"):
        open_file(tmp_path)
    with pytest.raises(TargetError, match="cannot be opened: No such file or directory"):
        open_file(tmp_path / "nothing")
    with pytest.raises(TargetError, match="is no regular file"):
        open_file("/dev/zero")
    with pytest.raises(TargetError, match="cannot be opened"):
        open_file("with\0nul")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(TargetError, match="is no regular file"):
        open_file(tmp_path / "fifo")


def test_a_core_of_a_process_is_refused(tmp_path: Path) -> None:
    """A real one, which the kernel or gdb's gcore would write: program headers with virtual addresses only."""
    path = tmp_path / "core"
    gcore = ["gdb", "-nx", "-batch", "-ex", "starti", "-ex", f"generate-core-file {path}", "-ex", "kill", "/bin/true"]
    try:
        subprocess.run(gcore, capture_output=True, timeout=60, check=True)
    except FileNotFoundError:
        pytest.skip("gdb is not installed")
    if not path.exists():
        pytest.skip("gdb may not trace here")
    with pytest.raises(TargetError, match="is a core without physical addresses"):
        open_file(path)


def test_no_file_stays_open_after_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "bad.core"
    path.write_bytes(b"\x7fELF" + bytes(200))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(TargetError):
            open_file(path)
    assert len(os.listdir("/proc/self/fd")) == before
