"""What is said when packages cannot be had. That they can is shown by tests/live."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inspector.lab import Missing, packages, qemu, silent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return packages.cache_home()


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="apt-get is missing"):
        packages.tree("x", "bookworm", ["busybox-static"], silent)
    with pytest.raises(Missing, match="install the package qemu-system-x86"):
        qemu.command("system", silent)


@pytest.mark.thorough
@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt-get here")
def test_no_network_leaves_no_half_tree(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(Missing) as raised:
        packages.tree("x", "bookworm", ["busybox-static"], silent)
    assert "\n" not in str(raised.value)
    assert not (cache / "x").exists()
    assert not list(cache.glob(".unpack-*"))


def test_a_tree_that_is_there_needs_neither_tools_nor_network(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    (cache / "x").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packages.tree("x", "bookworm", ["busybox-static"], silent) == cache / "x"


@pytest.fixture
def unpacking(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was unpacked: a file each, from no network."""
    done: list[str] = []

    def unpack(apt: packages.Apt, names: list[str], scratch: Path, root: Path, *more: object) -> None:
        done.extend(names)
        (root / "file").write_bytes(b"x" * 5000)

    monkeypatch.setattr(packages.Apt, "unpack", unpack)
    return done


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt-get here")
def test_a_damaged_tree_is_unpacked_again(unpacking: list[str]) -> None:
    said: list[str] = []
    place = packages.tree("x", "bookworm", ["p"], said.append)
    assert packages.tree("x", "bookworm", ["p"], said.append) == place
    assert (unpacking, said) == (["p"], [])
    (place / "file").write_bytes(b"x" * 4096)
    assert packages.tree("x", "bookworm", ["p"], said.append) == place
    assert unpacking == ["p", "p"]
    assert said == [f"{place} is damaged (file): unpacking it again"]
    assert (place / "file").stat().st_size == 5000
    assert not list(place.parent.glob(".unpack-*"))


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt-get here")
def test_a_damaged_tree_stays_until_there_is_a_whole_one(unpacking: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    place = packages.tree("x", "bookworm", ["p"], silent)
    (place / "file").write_bytes(b"")

    def fails(*arguments: object) -> None:
        raise Missing("no network")

    monkeypatch.setattr(packages.Apt, "unpack", fails)
    with pytest.raises(Missing, match="no network"):
        packages.tree("x", "bookworm", ["p"], silent)
    assert (place / "file").exists()
