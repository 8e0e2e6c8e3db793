"""Targets without memory: somebody has looked at the machine already, and a file tells what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.errors import NotReadable
from inspector.targets.target import Target

if TYPE_CHECKING:
    from inspector.model.snapshot import Snapshot


class RecordedTarget(Target):
    """A snapshot as a target: what it tells is all there is."""

    def __init__(self, description: str, snapshot: Snapshot, path: str | None = None) -> None:
        self.description = description
        self.files = () if path is None else (path,)
        self.snapshot = snapshot

    def read(self, address: int, size: int) -> bytes:
        """Raises NotReadable: there is no memory."""
        raise NotReadable(address, size, f"{self.description} holds no memory")
