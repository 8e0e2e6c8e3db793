"""The Xen of a machine that runs, looked for before the machine is stopped: what takes time then stops nobody."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from inspector.base.errors import UNREADABLE

if TYPE_CHECKING:
    from inspector.xen.xen import Xen


def look_ahead(qmp: str) -> Xen | None:
    """The Xen of no known build behind QEMU's QMP socket, read while it runs; None if there is none to be found so.

    One of a known build is found in no time once the machine stands still, and any that is not found here is looked for
    again then. What moves while it is read may make less of it known, and proves nothing.
    """
    from inspector.profiles.places import installed
    from inspector.targets.live.running_qemu import RunningQemu
    from inspector.xen import find, locate
    from inspector.xen.unknown import recognise

    with suppress(*UNREADABLE), RunningQemu(qmp) as running:
        if find.in_use(running):
            return None
        located = locate.in_use(running)
        if located and not installed(located.image.build_id or ""):
            return recognise(located)
    return None
