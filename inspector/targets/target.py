"""A Target gives physical memory, CPU registers and, if it is alive, control. Nothing else.

What can run, or be told to move, is told by what it offers, not by what it is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from inspector.base.closing import Closing
from inspector.base.errors import NotHere, NotReadable
from inspector.targets.ranges import Range
from structs.frozen import frozen


@frozen
class Cpu:
    """A CPU's registers by gdb's names (`rip`, `rsp`, `cr3`, ...); only those that the target knows."""

    index: int
    registers: Mapping[str, int]


@frozen
class IoApic:
    """One IO-APIC's registers: its id, version, and the 64-bit redirection table entries by pin."""

    id: int
    version: int
    redirection: tuple[int, ...]


@frozen
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

    vmcoreinfo: bytes = b""
    """What a Linux said of itself to whoever made this dump, as text; empty if it said nothing."""

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

    def read_ahead(self, blocks: Sequence[tuple[int, int]]) -> None:
        """Get memory that will be asked for, start and size of each block, where that is quicker than one by one.

        Raises:
            TargetError: the target was lost.
        """

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


@runtime_checkable
class Control(Protocol):
    """A target that runs or stands still. It can be read while it stands still."""

    @property
    def running(self) -> bool:
        """Whether it runs now."""

    def stop(self) -> None:
        """Stop it, if it runs. Raises TargetError if it was lost."""

    def cont(self) -> None:
        """Let it run, if it stands still. Raises TargetError if it was lost."""


@runtime_checkable
class Driven(Protocol):
    """A simulated machine: it moves when it is told to."""

    def drive(self, order: str, *arguments: object) -> object:
        """Do what a method of the machine does (`run`). Raises UsageError."""


@runtime_checkable
class Held(Protocol):
    """A target that can be read while it runs."""

    def held(self) -> AbstractContextManager[None]:
        """While this lasts, what is read is of one moment. The machine does not notice."""


def is_running(target: object) -> bool:
    """Whether a target runs now; one that cannot does not."""
    return isinstance(target, Control) and target.running
