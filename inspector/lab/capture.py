"""A capture of a real machine's memory, made the RAM of a QEMU that never runs."""

from __future__ import annotations

from pathlib import Path

from inspector.base.errors import TargetError
from inspector.lab import LabError
from inspector.targets.open_file import open_file

RAM = "ram"
"""The expanded memory's file in the lab's directory; sparse, so that it costs what the capture holds."""

PIECE = 4 << 20
GRANULE = 64 << 20
LARGEST = 2 << 30
"""From here on QEMU's q35 leaves a hole for PCI below 4 GiB, and a file offset is no physical address any more."""


def expand(capture: Path, directory: Path) -> int:
    """Write a capture's memory, in any format of dump, to `directory`/RAM; how many MiB of RAM hold it.

    Raises:
        LabError: it is no dump, has no memory, lies beyond 2 GiB, or does not fit on the disk.
    """
    try:
        with open_file(capture) as dump:
            ranges = dump.memory() or ()
            end = max((known.end for known in ranges), default=0)
            size = -(-end // GRANULE) * GRANULE
            if not end:
                raise LabError(f"{capture} holds no memory; a lab starts from a dump of it")
            if size > LARGEST:
                raise LabError(f"{capture} holds memory up to {end:#x}; a lab takes captures of up to {LARGEST:#x}")
            with (directory / RAM).open("wb") as ram:
                ram.truncate(size)
                for known in ranges:
                    for start in range(known.start, known.end, PIECE):
                        ram.seek(start)
                        ram.write(dump.read(start, min(PIECE, known.end - start)))
    except TargetError as error:
        raise LabError(f"no capture to start from: {error}") from error
    except OSError as error:
        raise LabError(f"{capture} cannot be expanded to {directory / RAM}: {error.strerror}") from error
    return size >> 20
