"""A look at a machine that runs, before it is stopped for one that counts: what takes time then stops nobody."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from inspector.base.errors import UNREADABLE
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.targets.target import Target
    from inspector.xen.xen import Xen
    from structs.xen.profile import Profile


@frozen
class Ahead:
    """What a look at a running machine found. It is of no one moment, so that nothing of it is shown.

    Attributes:
        xen: where Xen is, and what members its structures have.
        blocks: start and size of the RAM that was read for a snapshot: the next one, read when the machine stands
            still, will ask for much the same.
    """

    xen: Xen
    blocks: Sequence[tuple[int, int]]


def look_ahead(qmp: str, symbols: str | None = None, profile: str | None = None) -> Ahead | None:
    """The Xen behind QEMU's QMP socket, and what a snapshot reads, while the machine runs; None if none is found so.

    What is not found here is looked for again once the machine stands still, and what is wrong with the files is told
    then. What moves while it is read may make less of a Xen known, and proves nothing.

    Args:
        symbols: the xen-syms that the user named, if any.
        profile: the profile that the user named, if any.
    """
    from inspector.capture.inspection import Inspection
    from inspector.targets.live.running_qemu import RunningQemu

    with suppress(*UNREADABLE), RunningQemu(qmp) as running:
        xen = _xen_of(running, Inspection(running, symbols, profile).wanted)
        if xen is None:
            return None
        running.forget()
        with suppress(*UNREADABLE):
            # For what it reads, and for what it imports.
            Inspection(running, symbols, profile, expected=xen).snapshot  # noqa: B018
        return Ahead(xen, running.asked)
    return None


def _xen_of(running: Target, wanted: Sequence[Profile] | None) -> Xen | None:
    """The Xen that page tables in use map: memory is not searched."""
    from inspector.profiles.places import installed
    from inspector.xen import find, locate
    from inspector.xen.unknown import recognise

    xen = find.in_use(running, wanted)
    if xen or wanted:
        return xen
    located = locate.in_use(running)
    if located is None:
        return None
    profile = installed(located.image.build_id or "")
    return find.in_use(running, [profile]) if profile else recognise(located)
