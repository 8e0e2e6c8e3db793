"""Another QEMU and gdb for the live tests: Debian's of a release, in a folder to put before the others on PATH.

    PATH=$(python -m tests.live.newer_pair trixie FOLDER):$PATH pytest -m live tests/live

Status 75 (EX_TEMPFAIL) and a line that says why if the packages cannot be had.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from inspector.lab import Missing
from inspector.lab.packages import tree

PACKAGES = ("qemu-system-x86", "gdb", "python3-numpy", "python3-msgspec")
"""numpy and msgspec are compiled: those of vtdpi's own Python do not fit that of this gdb."""
LIBRARIES = (".", "blas", "lapack")
"""Where numpy's are until the packages' own scripts, which are not run, choose among several."""
CANNOT_BE_HAD = 75


def write(release: str, folder: Path) -> None:
    """Put `qemu-system-x86_64` and `gdb` into a folder, each run by its release's own dynamic loader.

    Raises:
        Missing: the packages cannot be had.
    """
    root = tree(
        f"pair-{release}-msgspec", release, PACKAGES, lambda line: print(line, file=sys.stderr), dependencies=True
    )
    libraries = root / "usr/lib/x86_64-linux-gnu"
    path = ":".join(str(libraries / part) for part in LIBRARIES)
    loader = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", path]
    share = root / "usr/share"
    qemu = [*loader, str(root / "usr/bin/qemu-system-x86_64"), "-L", str(share / "qemu"), "-L", str(share / "seabios")]
    gdb = ["env", f"PYTHONHOME={root / 'usr'}", *loader, str(root / "usr/bin/gdb"), f"--data-directory={share / 'gdb'}"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, words in (("qemu-system-x86_64", qemu), ("gdb", gdb)):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        program.chmod(0o755)


def main() -> int:
    """The words of the command line are the release and the folder, whose absolute path is printed."""
    release, folder = sys.argv[1], Path(sys.argv[2]).absolute()
    try:
        write(release, folder)
    except Missing as error:
        print(error, file=sys.stderr)
        return CANNOT_BE_HAD
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
