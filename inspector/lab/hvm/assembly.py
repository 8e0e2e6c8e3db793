"""Our own programs for the machine, made of the sources beside this file by the assembler and linker of binutils."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from inspector.lab import LabError
from inspector.lab.hvm.packages import Programs
from structs.frozen import frozen

SOURCES = Path(__file__).with_name("sources")
GUEST_AT = 0x100000
ROM_AT = 0xD0000
PROFILES = ("idle", "storm", "ipi", "migrate")
"""What the guest's vCPUs do; see `sources/guest.S`."""

POST = {"idle": 100_000, "storm": 4_000, "ipi": 0, "migrate": 8_000}
"""Microseconds between two MSIs that dom0 has Xen deliver; 0: none."""
MOVE = {"migrate": 4}
"""After how many of dom0's sleeps a vCPU is moved to the next CPU."""


@frozen
class Assembler:
    """Assembles into a directory."""

    programs: Programs
    directory: Path

    def guest(self, profile: str, vcpus: int) -> Path:
        """The guest, as it is in its memory from GUEST_AT on."""
        symbols = {"vcpus": vcpus, "profile": PROFILES.index(profile)}
        return self._flat("guest", GUEST_AT, symbols)

    def dom0(self, profile: str, cpus: int, vcpus: int) -> Path:
        """The dom0's kernel, an ELF file, with the guest in it, which has been assembled before."""
        symbols = {"vcpus": vcpus, "cpus": cpus, "post": POST[profile], "move": MOVE.get(profile, 0)}
        self._assemble("dom0", "--64", symbols)
        script = str(SOURCES / "dom0.ld")
        self._link("dom0", "-z", "max-page-size=4096", "--no-warn-rwx-segments", "--build-id=none", "-T", script)
        return self.directory / "dom0"

    def rom(self, information: int, entry: int) -> Path:
        """The option ROM that starts Xen at `entry`, with the multiboot information at that address."""
        path = self._flat("boot", ROM_AT, {"information": information, "entry": entry})
        image = bytearray(path.read_bytes())
        image[-1] = -sum(image) & 0xFF
        path.write_bytes(image)
        return path

    def _flat(self, name: str, address: int, symbols: dict[str, int]) -> Path:
        self._assemble(name, "--32", symbols)
        self._link(name, "-m", "elf_i386", f"-Ttext={address:#x}", "--oformat=binary")
        return self.directory / name

    def _assemble(self, name: str, mode: str, symbols: dict[str, int]) -> None:
        given = [word for symbol, value in symbols.items() for word in ("--defsym", f"{symbol}={value}")]
        source = str(SOURCES / f"{name}.S")
        self._run("as", [mode, *given, "-I", str(self.directory), "-o", str(self.directory / f"{name}.o"), source])

    def _link(self, name: str, *words: str) -> None:
        self._run("ld", ["-nostdlib", *words, "-o", str(self.directory / name), str(self.directory / f"{name}.o")])

    def _run(self, tool: str, words: Sequence[str]) -> None:
        command = [*self.programs.command(f"x86_64-linux-gnu-{tool}"), *words]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            said = next((line for line in lines if "rror: " in line), lines[0])
            raise LabError(f"the lab's own programs cannot be made: {tool} says: {said}")
