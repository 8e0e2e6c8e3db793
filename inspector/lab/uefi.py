"""A machine with UEFI firmware (OVMF) in place of a BIOS: it starts a xen.efi from a system partition, or GRUB, which
starts a xen.gz.

Sources: the UEFI specification 3.5.1.1 (what is started from removable media), docs/misc/efi.pandoc in Xen (its
configuration file has the image's name).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from inspector.lab import LabError, Say, grub
from inspector.lab.packages import tree

PLACES = (Path("/usr/share/OVMF"), Path("/usr/share/edk2/x64"))
CODE, VARIABLES = "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"
OWN_VARIABLES = "uefi-variables"
PARTITION = "esp"
FOLDER, IMAGE, SETTINGS = "EFI/BOOT", "BOOTX64.EFI", "BOOTX64.cfg"
XEN = "xen"
"""An image that GRUB starts."""
EFI, GZIP, ELF = b"MZ", b"\x1f\x8b", b"\x7fELF"
RELEASE = "trixie"

MIB = 256
"""Of which OVMF takes some; without a dom0."""


def firmware(say: Say) -> Path:
    """The folder with OVMF: the machine's own, or Debian's, downloaded.

    Raises:
        LabError: it cannot be had.
    """
    for place in PLACES:
        if (place / CODE).is_file() and (place / VARIABLES).is_file():
            return place
    place = tree(f"ovmf-{RELEASE}", RELEASE, ["ovmf"], say) / "usr/share/OVMF"
    if not (place / CODE).is_file():
        raise LabError(f"Debian's package ovmf no longer holds {CODE}")
    return place


def write(directory: Path, image: Path, options: str, modules: str, say: Say) -> Path:
    """Lay out the system partition, and the firmware's variables, in a lab's directory; the folder with OVMF.

    Args:
        image: a xen.efi, or a xen.gz, unpacked or not.
        options: Xen's command line.
        modules: as `initrd.write` gives them: the dom0 kernel with its command line, then perhaps its initrd.

    Raises:
        LabError: OVMF or GRUB cannot be had, or `image` is no image of Xen.
    """
    with image.open("rb") as file:
        magic = file.read(4)
    if not magic.startswith((EFI, GZIP, ELF)):
        raise LabError(f"{image} is no Xen that UEFI can start: neither a xen.efi nor a xen.gz, which GRUB starts")
    place = firmware(say)
    shutil.copyfile(place / VARIABLES, directory / OWN_VARIABLES)
    partition = directory / PARTITION
    folder = partition / FOLDER
    folder.mkdir(parents=True)
    kernel, *others = modules.split(",")
    for name in (kernel.split()[0], *others):
        shutil.copyfile(directory / name, folder / name)
    if magic.startswith(EFI):
        shutil.copyfile(image, folder / IMAGE)
        ramdisk = "".join(f"ramdisk={name}\n" for name in others)
        settings = f"[global]\ndefault=lab\n[lab]\noptions={options}\nkernel={kernel}\n{ramdisk}"
        (folder / SETTINGS).write_text(settings)
    else:
        shutil.copyfile(image, folder / XEN)
        given = [f"{FOLDER}/{module}" for module in (kernel, *others)]
        grub.write(partition, folder / IMAGE, f"{FOLDER}/{XEN}", options, given, say)
    return place


def words(place: Path) -> list[str]:
    """QEMU's options, for a lab's directory as the current one."""
    code = str(place / CODE).replace(",", ",,")
    return [
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,file={OWN_VARIABLES}"),
        *("-drive", f"file=fat:rw:{PARTITION},format=raw,if=none,id=esp", "-device", "virtio-blk-pci,drive=esp"),
    ]
