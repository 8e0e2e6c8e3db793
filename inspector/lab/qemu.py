"""Which QEMU to run: the system's, one of a Debian release unpacked into the cache, or any other."""

from __future__ import annotations

import shutil
from pathlib import Path

from inspector.lab import LabError, Missing, Say
from inspector.lab.packages import tree

RELEASES = ("trixie", "sid")
PROGRAM = "qemu-system-x86_64"


def command(which: str, say: Say) -> list[str]:
    """The words that start QEMU.

    Args:
        which: `system`, a Debian release of RELEASES, or a path.

    Raises:
        LabError: it is not there, or cannot be downloaded.
    """
    if which in RELEASES:
        return _downloaded(which, say)
    found = shutil.which(PROGRAM if which == "system" else which)
    if found:
        return [str(Path(found).absolute())]
    if which == "system":
        raise Missing(f"{PROGRAM} is missing: install the package qemu-system-x86, or use --qemu trixie")
    raise LabError(f"{which}: no such program; --qemu takes `system`, `trixie`, `sid` or the path of a {PROGRAM}")


def _downloaded(release: str, say: Say) -> list[str]:
    """A Debian release's QEMU with all its libraries, the C library included, run by its own dynamic loader."""
    root = tree(f"qemu-{release}", release, ["qemu-system-x86"], say, dependencies=True)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    return [
        *(str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(root / "usr/bin" / PROGRAM)),
        *("-L", str(root / "usr/share/qemu"), "-L", str(root / "usr/share/seabios")),
    ]
