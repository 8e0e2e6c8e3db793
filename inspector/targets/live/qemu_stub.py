"""A live machine behind QEMU's gdb stub, whoever speaks to the stub: what QEMU's monitor tells of it.

Where nothing is mapped, QEMU's stub answers zeros without an error. So what lies where is asked from the monitor
(`info mtree -f`), and a page that holds nothing is not readable. Of a stub without that monitor command, zeros may mean
that nothing is there.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence

from inspector.base.errors import NotHere, NotReadable, TargetError
from inspector.targets.live import qemu_text
from inspector.targets.ranges import Range
from inspector.targets.target import IoApic, Target

# What one packet of QEMU's stub holds at least, so that reading it costs little more than reading 64 bytes of it.
LINE = 1 << 10
LARGEST_READ = 1 << 30
ADDRESS_END = 1 << 64

REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
    *("rip", "eflags", "cs", "ss", "ds", "es", "fs", "gs", "fs_base", "gs_base", "k_gs_base"),
    *("cr0", "cr2", "cr3", "cr4", "cr8", "efer"),
)
"""What is asked of each CPU; a stub need not have all of them."""


class QemuStub(Target):
    """A machine behind QEMU's gdb stub, or any other x86-64 stub that has QEMU's physical-memory mode.

    Attributes:
        place: where the stub is, for messages.
    """

    place: str
    _view: qemu_text.FlatView | None = None
    _view_known = False

    @abstractmethod
    def monitor(self, command: str) -> str | None:
        """What QEMU's monitor answers, or None if the stub has no such command. Raises TargetError."""

    def memory(self) -> Sequence[Range] | None:
        """The machine's RAM, as QEMU's monitor tells."""
        view = self.flat_view()
        return view.ram() if view else None

    def ioapics(self) -> Sequence[IoApic]:
        """The IO-APICs, from QEMU's monitor (`info pic`): through memory they could not be read without a write.

        Raises:
            NotHere: the stub has no such monitor command, or its text is not understood.
        """
        text = self.monitor("info pic")
        found = None if text is None else qemu_text.ioapics(text)
        if found is None:
            raise NotHere(f"the monitor behind {self.place} does not tell the IO-APICs (`info pic`)")
        return found

    def lapic(self, cpu: int) -> dict[str, int]:
        """A CPU's local APIC registers `irr` and `isr`, where QEMU's monitor tells them."""
        text = self.monitor(f"info lapic {cpu}")
        found = None if text is None else qemu_text.lapic(text)
        return {"irr": found.irr, "isr": found.isr} if found and found.cpu == cpu else {}

    def flat_view(self) -> qemu_text.FlatView | None:
        """What lies where, or None if that is not told; asked once, until `forget_view`."""
        if not self._view_known:
            text = self.monitor("info mtree -f")
            self._view = None if text is None else qemu_text.flat_view(text)
            self._view_known = True
        return self._view

    def forget_view(self) -> None:
        """The machine may have moved what lies where."""
        self._view_known = False

    def lines(self, address: int, size: int) -> tuple[int, int] | None:
        """Start and size of the lines of RAM around a small request, or None: then just that is to be read."""
        start = address // LINE * LINE
        whole = -(-(address + size - start) // LINE) * LINE
        view = self.flat_view()
        return (start, whole) if view and size < LINE and view.in_ram(start, whole) else None

    def unreadable(self, address: int, size: int) -> NotReadable | None:
        """Why a request cannot be read, as far as that is known beforehand."""
        if address < 0 or size < 0 or address + size > ADDRESS_END:
            return NotReadable(address, size, "there is no such address")
        view = self.flat_view()
        if view and (hole := view.first_hole(address, size)) is not None:
            return NotReadable(hole, address + size - hole, f"{self.description} has nothing there")
        if size > LARGEST_READ:
            return NotReadable(address, size, f"more than {LARGEST_READ >> 30} GiB at once")
        return None

    def refusal(self, address: int, size: int, why: str) -> NotReadable:
        """gdb's error for a read as NotReadable, at the address that gdb names. Raises TargetError if it is another."""
        match = re.fullmatch(r"Cannot access memory at address 0x([0-9a-f]+)", why)
        if not match:
            raise TargetError(f"{self.description}: {why}")
        at = int(match[1], 16)
        return NotReadable(at, address + size - at, "the stub refuses")
