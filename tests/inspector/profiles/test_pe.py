"""EFI images with symbols. A real one is read in tests/live/test_any_xen.py."""

from __future__ import annotations

import shutil

import pytest

from inspector.base.errors import VtdpiError
from inspector.profiles import dwarf, pe


@pytest.fixture
def damaged(tmp_path):
    """What begins as an EFI image does."""
    path = tmp_path / "xen.efi"
    path.write_bytes(b"MZ" + bytes(4096))
    return path


def test_what_is_no_efi_image_stays_as_it_is(tmp_path):
    path = tmp_path / "xen-syms"
    path.write_bytes(b"\x7fELF")
    assert pe.as_elf(path) == path
    with pytest.raises(VtdpiError, match="cannot be read"):
        pe.as_elf(tmp_path / "nobody")


def test_a_damaged_one_is_refused_in_one_line(damaged, unavailable):
    if not shutil.which("objcopy"):
        unavailable("objcopy is missing: install the package binutils")
    with pytest.raises(VtdpiError, match="not a usable EFI image: objcopy says") as refused:
        dwarf.build_id_of(damaged)
    assert "\n" not in str(refused.value)


def test_without_objcopy_it_is_said_what_to_install(damaged, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VtdpiError, match=r"objcopy, which makes ELF of it, is missing: install binutils"):
        pe.as_elf(damaged)
