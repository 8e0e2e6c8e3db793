"""Where distributions put the symbols of their Xen: files that may be of a build, on this machine.

Debian: xen-hypervisor-*-dbg; Fedora, Qubes, XCP-ng: xen-syms in /boot or their debuginfo packages; anyone: by build-id.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inspector.base.errors import VtdpiError
from structs.xen.profile import Profile

ROOT = Path("/")
PATTERNS = (
    "usr/lib/debug/boot/xen-syms*",
    "usr/lib/debug/boot/xen-*.efi.elf",
    "usr/lib/debug/boot/xen-*notstripped*",
    "usr/lib/debug/boot/xen*.debug",
    "boot/xen-syms*",
    "boot/efi/EFI/*/xen*notstripped.efi",
    "usr/lib/debug/xen-syms*",
    "usr/lib/xen/boot/xen-syms*",
)
MAP = ".map"


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
        yield from (path for path in sorted(ROOT.glob(pattern)) if path.is_file() and path.suffix != MAP)
