"""What gdb is attached to, as a target of vtdpi."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gdb  # type: ignore[import-untyped]

from inspector.base.errors import UsageError
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.live.gdb_inferior import GdbInferior
from inspector.targets.target import Target

# The names of the core and of the program in `info target`, whatever language the words beside them are in.
_FILE = re.compile(r"^\t[^\w\s/](.+?)[^\w\s/], .*elf", re.MULTILINE)


class Attached:
    """A session with what gdb is attached to, for as long as it stays attached to just that."""

    def __init__(self, connection: Any, symbols: str | None) -> None:
        self.connection = connection
        self.symbols = symbols
        self.session = Session(Opening(self._open, name="gdb", prefix="vtdpi ", symbols=symbols))

    def close(self) -> None:
        """End the session."""
        self.session.close()

    def refresh(self) -> None:
        """Have the next look be a new one, if it is of a live machine. Raises TargetError if that runs."""
        if isinstance(self.session.target, GdbInferior):
            self.session.target.check_stopped()
            self.session.target.refresh()

    def put_back(self) -> None:
        """Leave the machine as gdb's own commands expect it."""
        if isinstance(self.session.target, GdbInferior):
            self.session.target.put_back()

    def _open(self) -> Target:
        if self.connection.type in ("remote", "extended-remote"):
            return GdbInferior(self.connection)
        from inspector.targets.open_file import open_file

        # The file itself: what of it gdb shows depends on what a CPU happened to have mapped.
        return open_file(core())


_last: Attached | None = None


@contextmanager
def attached() -> Iterator[Attached]:
    """What gdb is attached to now; afterwards the machine is as gdb's own commands expect it.

    Raises:
        UsageError: nothing that could be a machine.
        VtdpiError: it cannot be opened.
    """
    now = _current()
    try:
        now.session.target  # noqa: B018 - opened here, so that what fails to open is not put back
    except BaseException:
        _forget()
        raise
    try:
        yield now
    finally:
        now.put_back()


def core() -> str:
    """The path of the core that gdb reads. Raises UsageError if gdb does not tell."""
    program = gdb.current_progspace().filename
    names = [name for name in _FILE.findall(gdb.execute("info target", to_string=True)) if name != program]
    if not names:
        raise UsageError("gdb does not tell (`info target`) the file of the core that it reads")
    return str(names[0])


def _current() -> Attached:
    global _last
    connection = gdb.selected_inferior().connection
    if connection is None or connection.type not in ("remote", "extended-remote", "core"):
        to = "nothing" if connection is None else f"a {connection.description}"
        raise UsageError(
            f"gdb is attached to {to}; expected a machine: `target remote HOST:PORT` to QEMU, or `core-file DUMP`"
        )
    symbols = _symbols()
    if _last is None or _last.connection is not connection or _last.symbols != symbols:
        _forget()
        _last = Attached(connection, symbols)
    return _last


def _forget() -> None:
    global _last
    if _last is not None:
        last, _last = _last, None
        last.close()


def _symbols() -> str | None:
    """The xen-syms that gdb has loaded; None if it has none."""
    try:
        gdb.parse_and_eval("&idle_pg_table")
    except gdb.error:
        return None
    names = [gdb.current_progspace().filename, *(objfile.filename for objfile in gdb.objfiles())]
    return next((str(name) for name in names if name), None)
