"""A Target gives physical memory, CPU registers and, if it is alive, control. Nothing else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.base.closing import Closing
from inspector.base.errors import NotHere, NotReadable
from inspector.targets.ranges import Range


@dataclass(frozen=True)
class Cpu:
    """A CPU's registers by gdb's names (`rip`, `rsp`, `cr3`, ...); only those that the target knows."""

    index: int
    registers: Mapping[str, int]


@dataclass(frozen=True)
class IoApic:
    """One IO-APIC's registers: its id, version, and the 64-bit redirection table entries by pin."""

    id: int
    version: int
    redirection: tuple[int, ...]


@dataclass(frozen=True)
class Crash:
    """What a crashed Xen's own notes say: the physical address where its image starts, and that of its page tables."""

    phys_start: int
    root: int | None


class Target(Closing):
    """A machine, running or dumped. Use as a context manager: leaving it leaves the machine as it was found."""

    description: str
    """What it is, for messages: `core /var/tmp/xen.core`, `QEMU at 127.0.0.1:1234`."""

    warnings: Sequence[str] = ()
    """What its reader should know of it, such as that a file is cut short; whole lines."""

    scannable: bool = True
    """Whether all of its memory can be read in seconds."""

    beside: bool = False
    """Whether Xen is executed elsewhere than on its CPUs: by a simulation's control domain."""

    crash: Crash | None = None
    """Set if this is what a crashed Xen left: then some of the evidence was changed by the crash itself."""

    @property
    def lost(self) -> str | None:
        """Why nothing more can be read of it, if it was lost since it was opened: a line."""
        return None

    files: Sequence[str] = ()
    """The files that it is read from: nothing is ever written over them."""

    generation: int = 0
    """Grows whenever the machine may have run: what was read before is then of the past."""

    @abstractmethod
    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes of physical memory.

        Raises:
            NotReadable: any part of it is not there.
            TargetError: the target was lost.
        """

    def read_parts(self, wanted: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """Many reads `(address, size)` in one go: as `read`, but None where that would raise NotReadable."""
        parts: list[bytes | None] = []
        for address, size in wanted:
            try:
                parts.append(self.read(address, size))
            except NotReadable:
                parts.append(None)
        return parts

    def memory(self) -> Sequence[Range] | None:
        """The ranges of RAM, ascending; None if they are not known."""
        return None

    def cpus(self) -> Sequence[Cpu]:
        """The CPUs whose registers are known, in order; may be empty."""
        return ()

    def ioapics(self) -> Sequence[IoApic]:
        """The IO-APICs' registers.

        Raises:
            NotHere: they lie behind an index register, and this target cannot read them without a write.
        """
        raise NotHere(f"IO-APIC registers are not part of memory, and {self.description} holds nothing else")

    def close(self) -> None:
        """Leave the machine as it was found and release everything. Safe to call twice."""
