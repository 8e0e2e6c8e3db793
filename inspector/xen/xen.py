"""A Xen that was found: its profile and its address space, and what of reading it is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from inspector.kernels.structures import Structures
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.xen.knowledge import Knowledge


@frozen
class Xen(Structures):
    """One Xen in a target's memory."""

    corrected: Mapping[str, int] = field(default_factory=dict)
    """Variables whose value in memory is not the one that held while the machine ran: a crash has changed them."""
    knowledge: Knowledge | None = None
    """Of a build without a profile: what its image and memory tell. None if the profile is of this very build."""

    @cached_property
    def phys_start(self) -> int:
        """Where the image lies: the physical address behind the start of its 1 GiB of virtual addresses."""
        note = self.profile.symbol("__note_gnu_build_id_start")
        return self.memory.translate(note) - (note - image_base(note))

    def variable(self, name: str, size: int) -> int:
        """An unsigned variable of `size` bytes."""
        return self.corrected[name] if name in self.corrected else super().variable(name, size)


def image_base(address: int) -> int:
    """The start of the 1 GiB that Xen's image has for itself (XEN_VIRT_START), from any address within."""
    return address & ~((1 << 30) - 1)
