"""What the crash kernel says and writes, without one: the disk, the console, the libraries that its programs need."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from inspector.lab import LabError, crash, silent


def flat(blocks: list[tuple[int, bytes]]) -> bytes:
    head = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    return head + b"".join(struct.pack(">qq", at, len(data)) + data for at, data in blocks) + b"\xff" * 16


@pytest.mark.parametrize("form", crash.FORMS)
def test_what_is_on_the_disk_becomes_the_dump(tmp_path: Path, form: str) -> None:
    content = b"first" + bytes(3 << 20) + b"last"
    # What is between is written by no block, as between the headers of a kdump.
    written = content if form == "raw" else flat([(len(content) - 4, b"last"), (0, b"first")])
    disk = tmp_path / "disk"
    disk.write_bytes(written + bytes(5000))
    with (tmp_path / "dump").open("wb") as file:
        crash.copy(disk, len(content), form, file)
    assert (tmp_path / "dump").read_bytes() == (written if form == "flattened" else content)


def test_the_form_is_left_on_the_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xff" * 1024)
    crash.ask_for(disk, "zlib")
    assert disk.read_bytes()[:16] == b"zlib".ljust(16, b"\0")
    with pytest.raises(LabError, match="no form 'win' of a dump; there are raw, elf"):
        crash.ask_for(disk, "win")
    with pytest.raises(LabError, match="cannot be written"):
        crash.ask_for(tmp_path / "none", "raw")


def test_what_the_console_tells(tmp_path: Path) -> None:
    console = tmp_path / "console"
    console.write_bytes(b"vtdpi lab: the dump of 5 bytes is written\n" + crash.STARTED + b"\n")
    before = console.stat().st_size
    with pytest.raises(LabError, match=r"no dump: QEMU ended; the console's last lines: .*runs"):
        crash.wait(console, before, lambda: False, silent)
    with console.open("ab") as file:
        file.write(b"vtdpi lab: the dump of 77 bytes is written\r\n")
    assert crash.wait(console, before, lambda: False, silent) == 77
    console.write_bytes(b"makedumpfile: it says why\nvtdpi lab: no dump: it cannot be written as lzo\r\n")
    with pytest.raises(LabError, match=r"^no dump: it cannot be written as lzo; before that: .*it says why"):
        crash.wait(console, 0, lambda: True, silent)


def test_libraries_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"no program")
    with pytest.raises(LabError, match="program is no library"):
        crash._closure([tmp_path / "program"], {})
