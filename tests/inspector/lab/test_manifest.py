"""Damage to an unpacked tree is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inspector.lab.manifest import MANIFEST, damage, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/busybox").write_bytes(b"x" * 5000)
    (tmp_path / "usr/bin/sh").symlink_to("busybox")
    (tmp_path / "empty").touch()
    write(tmp_path)
    return tmp_path


def test_a_whole_tree(root: Path) -> None:
    assert damage(root) is None
    (root / "more").touch()
    assert damage(root) is None


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lambda root: (root / "usr/bin/busybox").write_bytes(b"x" * 4096), "usr/bin/busybox"),
        (lambda root: (root / "usr/bin/busybox").write_bytes(b"x" * 4999 + b"y"), "usr/bin/busybox"),
        (lambda root: (root / "usr/bin/sh").unlink(), "usr/bin/sh"),
        (lambda root: ((root / "usr/bin/sh").unlink(), (root / "usr/bin/sh").symlink_to("ash")), "usr/bin/sh"),
        (lambda root: shutil.rmtree(root / "usr"), "usr/bin/busybox"),
        (lambda root: (root / "empty").unlink(), "empty"),
        (lambda root: (root / MANIFEST).write_bytes((root / MANIFEST).read_bytes()[:100]), MANIFEST),
        (lambda root: (root / MANIFEST).write_bytes(b""), MANIFEST),
    ],
)
def test_damage_is_named(root: Path, harm, found: str) -> None:
    harm(root)
    assert damage(root) == found
