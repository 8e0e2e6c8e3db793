"""What gdb and QEMU answer, as types: what does not fit is refused at once, in a line.

Source: gdb manual, chapter "The GDB/MI Interface"; QEMU QMP reference, `query-status`, and the greeting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from inspector.base.errors import TargetError

Number = Annotated[str, Meta(pattern="^[0-9]{1,9}$")]
Part = Annotated[int, Meta(ge=0, le=10_000)]

T = TypeVar("T")


class Thread(Struct):
    """A thread: a CPU."""

    id: Number


class Threads(Struct):
    """`-thread-info`."""

    threads: list[Thread]


class RegisterNames(Struct):
    """`-data-list-register-names`: by number; empty where there is none."""

    names: list[str] = field(name="register-names")


class RegisterValue(Struct):
    """A register's number and value; a vector register's value is no number."""

    number: Number
    value: str


class RegisterValues(Struct):
    """`-data-list-register-values`."""

    values: list[RegisterValue] = field(name="register-values")


class Breakpoint(Struct):
    """A breakpoint."""

    number: Number


class BreakpointMade(Struct):
    """`-break-insert`."""

    bkpt: Breakpoint


class Stopped(Struct):
    """The notification `*stopped`."""

    reason: str = ""
    signal: str = field(default="", name="signal-name")
    thread: Number = field(default="0", name="thread-id")


class Version(Struct):
    """QEMU's version."""

    major: Part
    minor: Part
    micro: Part


class Versions(Struct):
    """What of QEMU's greeting tells its version."""

    qemu: Version


class Qemu(Struct):
    """What QEMU is."""

    version: Versions


class Greeting(Struct):
    """QEMU's greeting."""

    qmp: Qemu = field(name="QMP")


class Status(Struct):
    """`query-status`."""

    running: bool
    status: Annotated[str, Meta(max_length=100)]


def decoded(kind: type[T], answer: Mapping[str, Any] | Any, who: str) -> T:
    """An answer as its type. Raises TargetError, with `who` gave it, if it is none such."""
    try:
        return msgspec.convert(answer, kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise TargetError(f"{who} answers what cannot be ({error!s:.200}): expected a {kind.__name__}") from None
