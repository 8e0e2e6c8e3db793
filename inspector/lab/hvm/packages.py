"""Debian's Bochs with what it needs to run, and an assembler and linker for our own dom0 and guests."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from inspector.lab import LabError, Say
from inspector.lab.packages import CHECKSUMS, NotOffered, tree
from inspector.targets.live.bochs_process import PROGRAM
from structs.frozen import frozen

RELEASE = "sid"
"""Bochs 3.0, which Debian 13 has, refuses VM entry with a descriptor that is not page-aligned."""
TRIED = "3.1"
BOCHS = ("bochs", "bochs-sdl", "bochsbios", "vgabios")
BINUTILS = ("binutils-x86-64-linux-gnu",)

# Of what the packages depend on, Bochs loads libraries only, and with no display none that draw. What is left out
# wrongly is noticed when the loader looks for it.
LIBRARY = re.compile(r"lib|zlib1g|bochs|vgabios|binutils")
NEVER_LOADED = re.compile(r"lib(llvm|z3-|gl1-mesa|glx-mesa|gallium|systemd-shared)")


@frozen
class Programs:
    """The unpacked packages. Programs are run by the dynamic loader that came with them."""

    root: Path

    @property
    def libraries(self) -> Path:
        """Debian's directory of libraries."""
        return self.root / "usr/lib/x86_64-linux-gnu"

    def command(self, program: str) -> list[str]:
        """The words that start one of the programs."""
        path = f"{self.libraries}:{self.libraries / 'pulseaudio'}"
        loader = self.libraries / "ld-linux-x86-64.so.2"
        return [str(loader), "--library-path", path, str(self.root / "usr/bin" / program)]

    @property
    def bios(self) -> Path:
        """The firmware."""
        return self.root / "usr/share/bochs/BIOS-bochs-latest"

    @property
    def vga_bios(self) -> Path:
        """The display adapter's."""
        return self.root / "usr/share/vgabios/vgabios.bin"

    @property
    def environment(self) -> Mapping[str, str]:
        """For Bochs: where its plugins are, and no display, sound or input of this machine."""
        return {
            **os.environ,
            "LTDL_LIBRARY_PATH": str(self.libraries / "bochs/plugins"),
            "BXSHARE": str(self.root / "usr/share/bochs"),
            "SDL_VIDEODRIVER": "dummy",
            "SDL_VIDEO_DRIVER": "dummy",
            "SDL_AUDIODRIVER": "dummy",
            "SDL_AUDIO_DRIVER": "dummy",
        }

    @property
    def version(self) -> str:
        """Of Bochs, as Debian counts; empty if it is not known."""
        try:
            found = re.search(r"\bbochs_([^_]+)_", (self.root / CHECKSUMS).read_text())
        except OSError:
            return ""
        return found[1] if found else ""


def programs(say: Say) -> Programs:
    """Bochs and the assembler, downloaded if they are not there yet.

    Raises:
        LabError: they cannot be had; the message says what was tried and what there is.
    """
    wanted = [*BOCHS, *BINUTILS]
    try:
        root = tree(f"bochs-{RELEASE}", RELEASE, wanted, say, _complete, dependencies=True, chosen=_is_library)
    except NotOffered as error:
        raise NotOffered(f"no Bochs to run the HVM lab in: tried Debian {RELEASE}'s Bochs {TRIED}: {error}") from error
    found = Programs(root)
    if found.version and not found.version.startswith(f"{TRIED}+"):
        say(f"Debian {RELEASE} has Bochs {found.version} now; this lab was tried with {TRIED}")
    return found


def _is_library(package: str) -> bool:
    return bool(LIBRARY.match(package) and not NEVER_LOADED.match(package))


def _complete(root: Path) -> None:
    """Raise LabError unless every library is there, those loaded by name included."""
    found = Programs(root)
    files = [root / "usr/bin" / PROGRAM, *found.libraries.glob("bochs/plugins/libbx_sdl2_gui.so")]
    files += [path for path in found.libraries.glob("libSDL[23]*.so.?") if path.exists()]
    files.append(root / "usr/bin/x86_64-linux-gnu-as")
    missing = sorted({name for path in files for name in _missing(found.command("")[:3], path)})
    if missing:
        raise LabError(f"Debian {RELEASE}'s Bochs needs what its packages did not bring: {', '.join(missing)}")


def _missing(loader: Sequence[str], path: Path) -> list[str]:
    done = subprocess.run([*loader, "--list", str(path)], capture_output=True, text=True, env={"LC_ALL": "C"})
    names = re.findall(r"(\S+) => not found|shared libraries: ([^:\s]+): cannot open", done.stdout + done.stderr)
    if done.returncode and not names:
        return [path.name]
    return [first or second for first, second in names]
