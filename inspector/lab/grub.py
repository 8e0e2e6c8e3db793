"""GRUB on the system partition of a machine with UEFI firmware, which starts a xen.gz by Multiboot2.

Debian's own GRUB image, with the modules that are not in it beside it, where it looks for them and for its settings.
Sources: the GRUB manual, `multiboot2` and `module2`; build-efi-images in Debian's grub2.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from inspector.lab import LabError, Say
from inspector.lab.packages import tree

RELEASE = "trixie"
PACKAGES = ("grub-efi-amd64-unsigned", "grub-efi-amd64-bin")
FOLDER = "x86_64-efi"
IMAGE = "monolithic/grubx64.efi"
DEPENDENCIES = "moddep.lst"
PREFIX = "EFI/debian"
"""Where on the partition Debian's image looks for its settings and, in FOLDER, for its modules."""
NEEDED = ("multiboot2",)


def write(partition: Path, starter: Path, xen: str, options: str, modules: list[str], say: Say) -> None:
    """Put GRUB on a system partition, so that it starts a Xen at once.

    Args:
        starter: the file that the firmware starts.
        xen, modules: what is started, and with which modules: paths on the partition, each module's followed by its
            own command line, if it has one.
        options: Xen's command line.

    Raises:
        LabError: GRUB cannot be had.
    """
    grub = tree(f"grub-efi-{RELEASE}", RELEASE, PACKAGES, say) / "usr/lib/grub" / FOLDER
    if not (grub / IMAGE).is_file() or not (grub / DEPENDENCIES).is_file():
        raise LabError(f"Debian's packages {' and '.join(PACKAGES)} no longer hold {IMAGE} and {DEPENDENCIES}")
    shutil.copyfile(grub / IMAGE, starter)
    place = partition / PREFIX
    (place / FOLDER).mkdir(parents=True)
    shutil.copyfile(grub / DEPENDENCIES, place / FOLDER / DEPENDENCIES)
    for name in with_dependencies(NEEDED, dependencies((grub / DEPENDENCIES).read_text())):
        shutil.copyfile(grub / f"{name}.mod", place / FOLDER / f"{name}.mod")
    lines = [f"insmod {name}" for name in NEEDED]
    lines += [f"multiboot2 /{xen} {options}", *(f"module2 /{module}" for module in modules), "boot"]
    (place / "grub.cfg").write_text("".join(f"{line}\n" for line in lines))


def dependencies(text: str) -> dict[str, list[str]]:
    """Which modules each needs, from the text of GRUB's moddep.lst: `multiboot2: acpi boot elf`."""
    return {name: needed.split() for name, _, needed in (line.partition(":") for line in text.splitlines())}


def with_dependencies(names: tuple[str, ...], needed: Mapping[str, list[str]]) -> Iterator[str]:
    """Modules and all that they need, each once."""
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += needed.get(name, [])
            yield name
