"""Where distributions put the symbols of their Xen: files that may be of a build, on this machine.

Debian: xen-hypervisor-*-dbg; Fedora, Qubes: xen-syms and maps, of symbols only, in /usr/lib/debug, before in /boot;
XCP-ng: a map in /boot, xen-syms there (xen-hypervisor-debuginfo) and in /usr/src (xen-lp-devel); anyone: by build-id.
Sources: the packages' spec files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from inspector.base.errors import VtdpiError
from inspector.profiles import symbol_map
from inspector.profiles.image import Image
from structs.xen.profile import Profile

ROOT = Path("/")
PATTERNS = (
    "usr/lib/debug/boot/xen-syms*",
    "usr/lib/debug/boot/xen-*.efi.elf",
    "usr/lib/debug/boot/xen-*notstripped*",
    "usr/lib/debug/boot/xen*.debug",
    "boot/xen-syms*",
    "usr/lib/debug/usr/lib64/efi/xen*.debug",
    "boot/xen*notstripped.efi",
    "boot/efi/EFI/*/xen*notstripped.efi",
    "usr/lib64/efi/xen*notstripped.efi",
    "usr/lib/debug/xen-syms*",
    "usr/lib/xen/boot/xen-syms*",
    "usr/src/xen-*/xen-syms*",
)
MAPS = ("boot/xen*.map", "usr/lib/debug/boot/xen*.map", "usr/lib/debug/xen*.map", "usr/lib/xen/boot/xen*.map")


def installed(build_id: str) -> Profile | None:
    """The profile of a build from a file with DWARF that is installed here, kept for the next time; None if none is."""
    from inspector.profiles import dwarf, store

    for path in files(build_id):
        try:
            if dwarf.build_id_of(path) == build_id:
                profile = dwarf.make(path)
                store.store(profile)
                return profile
        except VtdpiError:
            # Another package's file, one without DWARF, or a damaged one: as if it were not there.
            continue
    return None


def files(build_id: str) -> Iterator[Path]:
    """The files that may hold symbols of a build, the surest first."""
    named = ROOT / "usr/lib/debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    if named.is_file():
        yield named
    for pattern in PATTERNS:
        yield from (path for path in sorted(ROOT.glob(pattern)) if path.is_file() and path.suffix != symbol_map.SUFFIX)


def map_of(image: Image) -> Path | None:
    """A map of symbols that is installed here and belongs to an image; None if none does."""
    for pattern in MAPS:
        for path in sorted(ROOT.glob(pattern)):
            with suppress(VtdpiError):
                symbol_map.of_image(path, image)
                return path
    return None
