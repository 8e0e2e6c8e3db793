"""Symbols that are installed on this machine are found by build-id."""

from __future__ import annotations

import pytest

from inspector.profiles import dwarf, places
from inspector.profiles import store as profiles


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A machine's files."""
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def put(root, name, content=b"no ELF"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_file_that_is_named_by_the_build_id_comes_first_and_maps_are_none(root):
    build_id = "ab" + "cd" * 19
    by_id = put(root, f"usr/lib/debug/.build-id/ab/{'cd' * 19}.debug")
    debian = put(root, "usr/lib/debug/boot/xen-syms-4.20-amd64")
    put(root, "usr/lib/debug/boot/xen-syms-4.20-amd64.map")
    fedora = put(root, "boot/xen-syms-4.21.0-1.fc43")
    assert list(places.files(build_id)) == [by_id, debian, fedora]
    assert list(places.files("00" * 20)) == [debian, fedora]


def test_files_of_others_and_damaged_ones_are_passed_over(root):
    put(root, "boot/xen-syms-broken", b"\x7fELF and no more")
    assert places.installed("ab" * 20) is None


@pytest.mark.live
def test_an_installed_xen_syms_makes_the_profile(root, debian_xen):
    symbols = debian_xen("4.20").symbols
    (root / "boot").mkdir()
    (root / "boot/xen-syms-4.20-amd64").symlink_to(symbols)
    build_id = dwarf.build_id_of(symbols)
    profile = places.installed(build_id)
    assert profile is not None
    assert profile.offset("vcpu", "arch.hvm.vmx.pi_desc") % 64 == 0
    assert build_id in profiles._cached_ids()
    assert places.installed("00" * 20) is None
