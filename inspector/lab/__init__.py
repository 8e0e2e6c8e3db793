"""A real Xen under a real QEMU with an emulated VT-d unit, from Debian's packages, to look at and to test against.

`Lab.up` (inspector.lab.lab) starts one; it runs on when the program that started it ends, until `down`.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.base.errors import VtdpiError

Say = Callable[[str], None]
"""Where a step that takes time says what it is doing, one line at a time."""


class LabError(VtdpiError):
    """A lab cannot be started, found, asked or stopped."""


class Missing(LabError):
    """Something that a lab needs is not on this machine, and cannot be fetched."""


def silent(line: str) -> None:
    """A `Say` that says nothing."""
