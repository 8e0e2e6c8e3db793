"""An EFI image of Xen with its symbols (a PE file: xen.efi, *notstripped.efi) as ELF, which is what DWARF is read from.

By objcopy, as Xen's own build makes xen.efi.elf of xen.efi.
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from inspector.base.errors import VtdpiError
from inspector.base.foreign_text import one_line

MAGIC = b"MZ"
LONGEST = 60.0
"""Seconds that objcopy may take."""


def as_elf(path: Path) -> Path:
    """The file itself, or what objcopy makes of it if it is a PE file: that lasts as long as this process.

    Raises:
        VtdpiError: it cannot be read, or objcopy is missing or refuses it.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return path
        seen = path.stat()
    except OSError as error:
        raise VtdpiError(f"{path}: cannot be read: {error.strerror}; give the xen-syms of this Xen") from None
    return Path(_converted(path, seen.st_mtime_ns, seen.st_size).name, "elf")


@lru_cache(maxsize=8)
def _converted(path: Path, changed: int, size: int) -> tempfile.TemporaryDirectory[str]:
    """A directory that holds `elf`; it goes when this process ends."""
    made = tempfile.TemporaryDirectory(prefix="vtdpi-")
    words = ["objcopy", "-I", "pei-x86-64", "-O", "elf64-x86-64", str(path.absolute()), f"{made.name}/elf"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = "is missing: install binutils" if isinstance(error, OSError) else f"takes longer than {LONGEST:g} s"
        raise VtdpiError(f"{path} is an EFI image, and objcopy, which makes ELF of it, {why}") from None
    if done.returncode:
        raise VtdpiError(f"{path}: not a usable EFI image: objcopy says {one_line(done.stderr.strip()[:300])}")
    return made
