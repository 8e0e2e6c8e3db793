"""The system partition of a machine with UEFI firmware."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.lab import LabError, silent, uefi


@pytest.fixture
def firmware(tmp_path, monkeypatch) -> Path:
    """A folder that stands for OVMF's."""
    place = tmp_path / "firmware"
    place.mkdir()
    (place / uefi.CODE).write_bytes(b"code")
    (place / uefi.VARIABLES).write_bytes(b"variables")
    monkeypatch.setattr(uefi, "PLACES", (place,))
    return place


@pytest.fixture
def lab(tmp_path) -> Path:
    """A lab's directory with a dom0 in it."""
    directory = tmp_path / "lab"
    directory.mkdir()
    for name in ("vmlinux", "initrd", "no-kernel"):
        (directory / name).write_text(name)
    return directory


@pytest.fixture
def image(tmp_path) -> Path:
    """What begins as a xen.efi does."""
    path = tmp_path / "xen"
    path.write_bytes(b"MZ and more")
    return path


def test_what_the_firmware_starts_and_xen_reads(firmware, lab, image):
    place = uefi.write(lab, image, "console=com1 loglvl=all", "vmlinux console=hvc0,initrd", silent)
    folder = lab / "esp/EFI/BOOT"
    assert place == firmware
    assert sorted(path.name for path in folder.iterdir()) == ["BOOTX64.EFI", "BOOTX64.cfg", "initrd", "vmlinux"]
    assert (folder / "BOOTX64.cfg").read_text().splitlines() == [
        "[global]",
        "default=lab",
        "[lab]",
        "options=console=com1 loglvl=all",
        "kernel=vmlinux console=hvc0",
        "ramdisk=initrd",
    ]
    assert (lab / uefi.OWN_VARIABLES).read_bytes() == b"variables"
    assert f"if=pflash,format=raw,readonly=on,file={firmware / uefi.CODE}" in uefi.words(place)


def test_without_a_dom0_there_is_no_ramdisk(firmware, lab, image):
    uefi.write(lab, image, "console=com1", "no-kernel", silent)
    assert "ramdisk" not in (lab / "esp/EFI/BOOT/BOOTX64.cfg").read_text()


def test_what_is_no_xen_is_refused(firmware, lab, tmp_path):
    other = tmp_path / "xen.gz"
    other.write_bytes(b"PK and more")
    with pytest.raises(LabError, match=r"no Xen that UEFI can start: neither a xen\.efi nor a xen\.gz"):
        uefi.write(lab, other, "", "no-kernel", silent)
