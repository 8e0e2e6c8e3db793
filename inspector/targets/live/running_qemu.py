"""A QEMU's machine read through QMP alone, while it runs: nothing is stopped, and two reads are of two moments.

It serves to find what stays where it is, such as Xen's image and where its structures' members lie, before a debugger
stops the machine for what does not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live import qemu_text
from inspector.targets.live.qemu_stub import QemuStub
from inspector.targets.live.qmp import Qmp
from inspector.targets.target import Cpu

BLOCK = 1 << 16
"""What is read at once around a small request: a command takes a millisecond, and so many bytes little more."""


class RunningQemu(QemuStub):
    """The RAM and the page tables in use of a machine, by its QMP socket. Blocks that were read are kept.

    Attributes:
        asked: start and size of what was read, as a stub that reads lines would have it.

    Args:
        path: of the socket.

    Raises:
        TargetError: nobody listens there, or QEMU cannot write into a file of this process.
    """

    def __init__(self, path: str) -> None:
        self._qmp = Qmp(path)
        self.place = path
        self.description = f"QEMU at {path}"
        self._blocks: dict[tuple[int, int], bytes] = {}
        self._asked: dict[tuple[int, int], None] = {}
        self._file = os.memfd_create("vtdpi-running")

    def monitor(self, command: str) -> str | None:
        """As QemuStub.monitor."""
        return str(self._qmp.execute("human-monitor-command", {"command-line": command}))

    def read(self, address: int, size: int) -> bytes:
        """As Target.read: RAM only, for a read of a device may have an effect."""
        problem = self.unreadable(address, size)
        if problem or not ((view := self.flat_view()) and view.in_ram(address, size)):
            raise problem or NotReadable(address, size, f"{self.description} has no RAM there")
        self._asked[self.lines(address, size) or (address, size)] = None
        start = address // BLOCK * BLOCK
        end = -(-(address + size) // BLOCK) * BLOCK
        whole = (start, end - start) if view.in_ram(start, end - start) else (address, size)
        if whole not in self._blocks:
            self._blocks[whole] = self._saved(*whole)
        return self._blocks[whole][address - whole[0] :][:size]

    @property
    def asked(self) -> Sequence[tuple[int, int]]:
        """Since the beginning, or the last `forget`."""
        return tuple(self._asked)

    def forget(self) -> None:
        """What is read from here on is read anew."""
        self._blocks.clear()
        self._asked.clear()

    def cpus(self) -> Sequence[Cpu]:
        """Of every CPU what it executes just now, and by which page tables."""
        text = self.monitor("info registers -a") or ""
        return [Cpu(index, registers) for index, registers in enumerate(qemu_text.cpus(text))]

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._qmp.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _saved(self, address: int, size: int) -> bytes:
        os.ftruncate(self._file, 0)
        place = f"/proc/{os.getpid()}/fd/{self._file}"
        self._qmp.execute("pmemsave", {"val": address, "size": size, "filename": place}, timeout=60)
        data = os.pread(self._file, size, 0)
        if len(data) != size:
            raise TargetError(f"{self.description} wrote {len(data)} bytes of its memory and not {size}")
        return data
