"""The archive that is written is the one that cpio reads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.lab import cpio

names = st.text("abcdefghij._-", min_size=1, max_size=30).filter(lambda name: name not in (".", "..", "d"))


def program() -> list[str]:
    """A cpio to read with."""
    if shutil.which("cpio"):
        return ["cpio"]
    if shutil.which("busybox"):
        return ["busybox", "cpio"]
    pytest.skip("neither cpio nor busybox is here to read the archive back")


@given(files=st.dictionaries(names, st.binary(max_size=9000), max_size=5), mode=st.sampled_from([0o644, 0o755, 0o600]))
def test_every_file_comes_back(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], mode: int) -> None:
    place = tmp_path_factory.mktemp("unpacked")
    entries = [cpio.directory("d"), *(cpio.file(f"d/{name}", content, mode) for name, content in files.items())]
    subprocess.run([*program(), "-i", "-u"], input=cpio.archive(entries), cwd=place, check=True, capture_output=True)
    found = {path.name: path for path in (place / "d").iterdir()}
    assert {name: path.read_bytes() for name, path in found.items()} == files
    assert all(path.stat().st_mode & 0o777 == mode for path in found.values())


def test_a_device_is_listed_with_its_numbers(tmp_path: Path) -> None:
    if not shutil.which("cpio"):
        pytest.skip("busybox's cpio does not list device numbers")
    archive = cpio.archive([cpio.directory("dev"), cpio.character_device("dev/console", 5, 1)])
    listed = subprocess.run(["cpio", "-tv"], input=archive, capture_output=True, check=True).stdout.decode()
    kinds = {line.split()[-1]: line.split() for line in listed.splitlines()}
    assert kinds["dev"][0] == "drwxr-xr-x"
    assert kinds["dev/console"][0] == "crw-------"
    assert "".join(kinds["dev/console"][4:6]) == "5,1"
