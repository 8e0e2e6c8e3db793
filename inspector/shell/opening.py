"""How a session's target is opened, and `open`: another one in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from inspector.base.errors import UsageError
from inspector.model.answer import Answer, AnyAnswer, Facts
from inspector.model.schema_name import schema_name
from inspector.targets.options import DumpOptions, LiveOptions, SimOptions
from inspector.targets.target import Control
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.ahead import Ahead
    from inspector.model.documents import Open
    from inspector.shell.session import Session
    from inspector.targets.target import Target

KINDS: Mapping[str, type] = {"sim": SimOptions, "live": LiveOptions, "dump": DumpOptions, "log": DumpOptions}
"""What `open` opens, and the options that follow."""
SCHEMA = schema_name("open")


def _nothing_ahead(symbols: str | None, profile: str | None) -> Ahead | None:
    return None


@frozen
class Opening:
    """A target that is still to be opened.

    Attributes:
        target: opens it. Raises TargetError.
        name: of the target, short, for a prompt.
        prefix: what stands before a command's name in its help.
        symbols, profile: the xen-syms and the profile that the user named, if any.
        look_ahead: what a look at the target before it is opened finds, by the symbols and the profile that are named.
        place: where it is attached to, if one only can be attached there at a time; else empty.
    """

    target: Callable[[], Target]
    name: str = "vtdpi"
    prefix: str = ""
    symbols: str | None = None
    profile: str | None = None
    look_ahead: Callable[[str | None, str | None], Ahead | None] = _nothing_ahead
    place: str = ""


def open_(session: Session, words: Sequence[str]) -> AnyAnswer:
    """Open another target in this session, in place of its own.

    Raises:
        UsageError: the words name no target, or the user does not confirm that the open one is left.
        TargetError: it cannot be opened; the session has its target still.
    """
    if session.opener is None:
        raise UsageError("this session stays with its target")
    wanted = session.opener(words)
    if session.moved and session.settings.confirm and not session.confirms(_lost(session)):
        raise UsageError("not confirmed: the target stays")
    left = session.opened
    session.switch(wanted)
    document: Open = {"opened": session.target.description, "left": left.description if left else None}
    rows = [("open", session.target.description)]
    if left:
        rows.append(("left as it was found" if isinstance(left, Control) else "closed", left.description))
    return Answer(document, [Facts(rows)]).named(SCHEMA)


def _lost(session: Session) -> str:
    return f"The simulated machine has moved {session.moved:,} steps, which are lost (`checkpoint FILE` keeps it)."
