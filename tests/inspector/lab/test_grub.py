"""GRUB on a system partition."""

from __future__ import annotations

import pytest

from inspector.lab import LabError, grub, silent

MODULES = "multiboot2: acpi boot elf\nacpi:\nboot:\nelf: boot\nreiserfs: fshelp\n"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """What stands for the unpacked packages."""
    root = tmp_path / "packages"
    place = root / "usr/lib/grub/x86_64-efi"
    (place / "monolithic").mkdir(parents=True)
    (place / "monolithic/grubx64.efi").write_text("grub")
    (place / "moddep.lst").write_text(MODULES)
    for name in ("multiboot2", "acpi", "boot", "elf", "reiserfs"):
        (place / f"{name}.mod").write_text(name)
    monkeypatch.setattr(grub, "tree", lambda *_: root)
    return place


def test_xen_is_started_with_its_modules(packages, tmp_path):
    given = ["EFI/BOOT/vmlinux console=hvc0", "EFI/BOOT/initrd"]
    grub.write(tmp_path, tmp_path / "starter", "EFI/BOOT/xen", "console=com1 loglvl=all", given, silent)
    assert (tmp_path / "starter").read_text() == "grub"
    assert (tmp_path / "EFI/debian/grub.cfg").read_text().splitlines() == [
        "insmod multiboot2",
        "multiboot2 /EFI/BOOT/xen console=com1 loglvl=all",
        "module2 /EFI/BOOT/vmlinux console=hvc0",
        "module2 /EFI/BOOT/initrd",
        "boot",
    ]
    beside = {path.name for path in (tmp_path / "EFI/debian/x86_64-efi").iterdir()}
    assert beside == {"moddep.lst", "multiboot2.mod", "acpi.mod", "boot.mod", "elf.mod"}


def test_packages_that_hold_something_else(packages, tmp_path):
    (packages / "moddep.lst").unlink()
    with pytest.raises(LabError, match=r"no longer hold monolithic/grubx64\.efi and moddep\.lst"):
        grub.write(tmp_path, tmp_path / "starter", "xen", "", [], silent)
