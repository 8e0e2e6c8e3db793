"""Files appear whole, or the old one stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.base.new_file import NotWritten, append, replacing, write
from structs.new_file import PREFIX


def left(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(PREFIX)]


def test_new_and_replaced(tmp_path):
    path = tmp_path / "file"
    write(path, "one\n")
    assert path.read_text() == "one\n"
    path.chmod(0o640)
    write(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert left(tmp_path) == []


def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_what_fails_on_the_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert left(tmp_path) == []


def test_what_is_being_read_is_not_replaced(tmp_path):
    path = tmp_path / "dump"
    path.write_text("old")
    (tmp_path / "link").symlink_to(path)
    os.link(path, tmp_path / "hard")
    for name in ("dump", "link", "hard"):
        for change in (write, append):
            with pytest.raises(NotWritten, match="is what is being read"):
                change(tmp_path / name, "new", keep=[path])
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["no/folder/file", "", "nul\0byte", "x" * 300])
def test_a_place_that_is_none_is_said(name, tmp_path):
    with pytest.raises(NotWritten, match="cannot be written"):
        write(f"{tmp_path}/{name}", "")
    with pytest.raises(NotWritten, match="cannot be written"):
        append(f"{tmp_path}/{name}", "")


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(NotWritten, match="Is a directory"):
        write(tmp_path, "")


def test_a_pipe_and_a_device_are_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "pipe", "through")
    reader.join(10)
    assert got == [b"through"]
    assert (tmp_path / "pipe").is_fifo()
    write("/dev/null", "nothing")
    assert Path("/dev/null").is_char_device()


def test_names_that_are_no_utf_8_and_text_that_is_none(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    write(name, "a\udc80\ud800")
    assert Path(name).read_bytes() == rb"a\udc80\ud800"


def test_two_writers_leave_what_one_of_them_wrote(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([n]) * 300_000 for n in range(8)]
    threads = [threading.Thread(target=write, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert left(tmp_path) == []


def test_appending(tmp_path):
    append(tmp_path / "log", "one\n")
    append(tmp_path / "log", "two\n")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, signal, sys\n"
        "from inspector.base.new_file import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write(b'new'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_on_a_full_disk_the_old_file_stays(small_disk: Callable[[int], Path]):
    disk = small_disk(256 << 10)
    path = disk / "file"
    write(path, b"old" * 10_000)
    with pytest.raises(NotWritten, match="No space left"):
        write(path, bytes(1 << 20))
    assert path.read_bytes() == b"old" * 10_000
    assert left(disk) == []
    append(disk / "log", "old\n")
    with pytest.raises(NotWritten, match="No space left"):
        append(disk / "log", "x" * (1 << 20))
    assert (disk / "log").read_text() == "old\n"


def test_a_read_only_file_is_not_replaced():
    nobody = 65534
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file")
        path.write_text("old")
        path.chmod(0o444)
        Path(directory).chmod(0o777)
        root = os.geteuid() == 0
        if root:
            os.seteuid(nobody)
        try:
            with pytest.raises(NotWritten, match="read-only"):
                write(path, "new")
        finally:
            if root:
                os.seteuid(0)
        assert path.read_text() == "old"
