"""A capture made the RAM of a machine: each byte where the capture has it."""

from __future__ import annotations

import pytest

from inspector.lab import LabError
from inspector.lab.capture import GRANULE, LARGEST, PIECE, RAM, expand
from inspector.targets.open_file import open_file


def test_the_ram_of_a_real_capture_is_its_memory(golden, tmp_path):
    path = golden("lost-wakeup")
    size = expand(path, tmp_path)
    ram = tmp_path / RAM
    with open_file(path) as dump, ram.open("rb") as file:
        ranges = dump.memory()
        assert ram.stat().st_size == size << 20
        assert size << 20 >= ranges[-1].end > (size << 20) - GRANULE
        for known in ranges:
            file.seek(known.start)
            assert file.read(known.size) == dump.read(known.start, known.size)
    # What lies between is a hole: a machine's RAM on disk costs what the capture holds.
    assert ram.stat().st_blocks * 512 <= sum(-(-known.size // 4096) + 2 for known in ranges) * 4096


def test_a_segment_longer_than_a_piece(elf_core, tmp_path):
    content = bytes(range(251)) * (PIECE // 251 + 10)
    (tmp_path / "core").write_bytes(elf_core([(0x1000, 0, content)]))
    assert expand(tmp_path / "core", tmp_path) == GRANULE >> 20
    with (tmp_path / RAM).open("rb") as file:
        assert file.read(0x1000) == bytes(0x1000)
        assert file.read(len(content)) == content
        assert not any(file.read(0x1000))


@pytest.mark.parametrize(
    ("start", "mib"), [(GRANULE - 16, 64), (GRANULE - 15, 128), (LARGEST - 16, 2048), (LARGEST - 15, None)]
)
def test_the_size_is_what_holds_it_up_to_2_gib(elf_core, tmp_path, start, mib):
    (tmp_path / "core").write_bytes(elf_core([(start, 0, bytes(range(16)))]))
    if mib is None:
        with pytest.raises(LabError, match="holds memory up to 0x80000001; a lab takes captures of up to 0x80000000"):
            expand(tmp_path / "core", tmp_path)
        assert not (tmp_path / RAM).exists()
    else:
        assert expand(tmp_path / "core", tmp_path) == mib


def test_what_is_no_capture(data, tmp_path):
    with pytest.raises(LabError, match=r"no capture to start from: .*none"):
        expand(tmp_path / "none", tmp_path)
    with pytest.raises(LabError, match="no capture to start from: "):
        expand(tmp_path, tmp_path)


def test_a_directory_that_has_gone(golden, tmp_path):
    with pytest.raises(LabError, match=f"cannot be expanded to {tmp_path}/gone/{RAM}: No such file or directory"):
        expand(golden("lost-wakeup"), tmp_path / "gone")


def test_a_disk_that_is_full(golden, small_disk):
    place = small_disk(64 << 10)
    with pytest.raises(LabError, match=r"cannot be expanded to .*: No space left on device"):
        expand(golden("lost-wakeup"), place)


def test_a_snapshot_has_no_memory(data, tmp_path, golden, run):
    """It is a target like others, but no capture of memory."""
    saved = tmp_path / "saved.json"
    assert run("dump", golden("lost-wakeup"), "save", saved).status == 0
    with pytest.raises(LabError, match=r"saved\.json holds no memory; a lab starts from a dump of it"):
        expand(saved, tmp_path)
