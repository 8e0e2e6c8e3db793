"""Which Xen to start: Debian's builds by their release number, or the user's own files."""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

from inspector.lab import LabError, Say
from inspector.lab.machine import Recipe
from inspector.lab.packages import NotOffered, tree
from structs.frozen import frozen


@frozen
class Build:
    """A Xen: `image` is the ELF32 multiboot file that QEMU's -kernel takes, `symbols` its xen-syms, if there is one."""

    name: str
    image: Path
    symbols: Path | None


# The Debian release that has it, and the version whose layout the bundled profiles describe.
DEBIAN = {
    "4.17": ("bookworm", "4.17.5+72-g01140da4e8-1"),
    "4.20": ("trixie", "4.20.4+63-g7abfd2bce2-0+deb13u1"),
}


def chosen(recipe: Recipe, say: Say) -> Build:
    """The Xen of a recipe. A capture holds its own, whose build-id tells which it is.

    Raises:
        LabError: it cannot be had.
    """
    if recipe.capture:
        return Build("capture", recipe.capture.absolute(), None)
    if recipe.image:
        return own(recipe.image, recipe.symbols)
    return debian_efi(recipe.xen, say) if recipe.uefi and not recipe.grub else debian(recipe.xen, say)


def debian(number: str, say: Say) -> Build:
    """Debian's Xen `number` (a key of DEBIAN), or the release's newest if that version is gone from the mirrors.

    Raises:
        LabError: there is no such build, or it cannot be downloaded.
    """
    return Build(f"xen-{number}", *_unpacked(number, "xen", _finish, say))


def debian_efi(number: str, say: Say) -> Build:
    """The same as a xen.efi. Its symbols are None where Debian does not ship them (before 4.20).

    Raises:
        LabError: there is no such build, or it cannot be downloaded.
    """
    image, symbols = _unpacked(number, "xen-efi", _finish_efi, say)
    return Build(f"xen-{number}-efi", image, symbols if symbols.exists() else None)


def _unpacked(number: str, name: str, finish: Callable[[Path], None], say: Say) -> tuple[Path, Path]:
    """Image and symbols of Debian's Xen `number`, in a tree of that name."""
    if number not in DEBIAN:
        raise LabError(f"no Xen {number}: the lab knows {' and '.join(DEBIAN)}, or your own with --xen-image")
    release, version = DEBIAN[number]
    try:
        root = tree(f"{name}-{version}", release, _packages(number, f"={version}"), say, finish)
    except NotOffered:
        say(f"Debian {release} no longer has Xen {version}: taking its newest {number}, whose layout may differ")
        root = tree(f"{name}-{number}-newest", release, _packages(number, ""), say, finish)
    return root / "xen", root / "xen-syms"


def own(image: Path, symbols: Path | None) -> Build:
    """The user's own build.

    Raises:
        LabError: a file is not there.
    """
    for path in (image, symbols):
        if path and not path.is_file():
            raise LabError(f"{path}: no such file")
    return Build("own-xen", image.absolute(), symbols.absolute() if symbols else None)


def loadable(image: Path, directory: Path) -> Path:
    """The image as QEMU's loader takes it: unpacked into `directory`, if it is gzipped as distributions ship it.

    Raises:
        LabError: it is no ELF file, unpacked or not.
    """
    try:
        with image.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if packed:
            unpacked = directory / "xen"
            _gunzip(image, unpacked)
            image = unpacked
        with image.open("rb") as file:
            magic = file.read(4)
    except (OSError, EOFError, zlib.error) as error:
        raise LabError(f"{image} cannot be read: {error}") from error
    if magic != b"\x7fELF":
        raise LabError(f"{image} is no Xen that QEMU can start: not an ELF file, gzipped or not (xen.gz, not xen.efi)")
    return image


def _gunzip(packed: Path, unpacked: Path) -> None:
    with gzip.open(packed) as source, unpacked.open("wb") as target:
        shutil.copyfileobj(source, target)


def _packages(number: str, version: str) -> list[str]:
    return [f"xen-hypervisor-{number}-amd64{version}", f"xen-hypervisor-{number}-amd64-dbg{version}"]


def _finish(root: Path) -> None:
    """Keep the image, gunzipped, and the symbols."""
    images = [path for path in (root / "boot").glob("xen-*.gz") if not path.is_symlink()]
    symbols = list((root / "usr/lib/debug/boot").glob("xen-syms-*-amd64"))
    if len(images) != 1 or len(symbols) != 1:
        raise LabError("Debian's Xen packages do not hold one boot/xen-*.gz and one xen-syms-*, as they used to")
    _gunzip(images[0], root / "xen")
    symbols[0].rename(root / "xen-syms")
    shutil.rmtree(root / "boot")
    shutil.rmtree(root / "usr/lib")


def _finish_efi(root: Path) -> None:
    """Keep the EFI image, and its symbols if there are any."""
    images = [path for path in (root / "boot").glob("xen-*.efi") if not path.is_symlink()]
    if len(images) != 1:
        raise LabError("Debian's Xen package does not hold one boot/xen-*.efi, as it used to")
    images[0].rename(root / "xen")
    for symbols in (root / "usr/lib/debug/boot").glob("xen-*.efi.elf"):
        symbols.rename(root / "xen-syms")
    shutil.rmtree(root / "boot")
    shutil.rmtree(root / "usr/lib")
