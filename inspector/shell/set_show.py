"""`set`, `unset` and `show`: what the user sets in a session, and what stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from inspector.base.errors import UsageError
from inspector.model.answer import Answer, AnyAnswer, Table
from inspector.model.schema_name import schema_name
from inspector.shell import settings
from inspector.shell.settings import Settings

if TYPE_CHECKING:
    from inspector.model.documents import Set
    from inspector.shell.session import Session

KEEP = "--keep"
SCHEMA = schema_name("show")


def show(session: Session, words: Sequence[str]) -> AnyAnswer:
    """All settings, or one. Raises UsageError if there is none of that name."""
    if len(words) > 1:
        raise UsageError("expected one setting, or none: show width")
    return answer(session.settings, [settings.meant(words[0])] if words else list(settings.settings()))


def answer(now: Settings, names: Sequence[str]) -> AnyAnswer:
    """Settings as they are."""
    rows = [row for name in names for row in _rows(now, name)]
    document: Set = {"settings": {name: _plain(now, name) for name in names}}
    table = Table(("SETTING", "VALUE", "MEANING"), rows, spare=("MEANING",) if len(names) > 1 else ())
    return Answer(document, [table]).named(SCHEMA)


def _rows(now: Settings, name: str) -> list[tuple[str, str, str]]:
    value, help = getattr(now, name), settings.settings()[name].help
    if not isinstance(value, Mapping):
        return [(name, settings.shown(value) or "-", help)]
    # What it is stands beside its first entry only.
    entries = [(f"{name} {key}", entry or "-", "") for key, entry in value.items()] or [(name, "-", "")]
    return [(*entries[0][:2], help), *entries[1:]]


def _plain(now: Settings, name: str) -> str | dict[str, str]:
    value = getattr(now, name)
    return dict(value) if isinstance(value, Mapping) else settings.shown(value)


def set_(session: Session, words: Sequence[str]) -> AnyAnswer:
    """Change a setting for this session, with `--keep` in the user's file too; without words, show all.

    Raises:
        UsageError: there is none of that name, or it does not take that.
        VtdpiError: the file cannot be changed.
    """
    rest = [word for word in words if word != KEEP]
    if not rest:
        return show(session, rest)
    name = settings.meant(rest[0])
    key = rest[1] if name in settings.tables() and len(rest) > 1 else None
    return _take(session, settings.changed(session.settings, name, rest[1:]), name, key, KEEP in words)


def unset(session: Session, words: Sequence[str]) -> AnyAnswer:
    """Have a setting, or an entry of a table, be as it is where nothing is set. Raises as `set_`."""
    rest = [word for word in words if word != KEEP]
    if not 1 <= len(rest) <= 2:
        raise UsageError("expected a setting, of a table the entry too: unset width; unset aliases posted")
    name, key = settings.meant(rest[0]), rest[1] if rest[1:] else None
    return _take(session, settings.initially(session.settings, name, key), name, key, KEEP in words)


def _take(session: Session, now: Settings, name: str, key: str | None, keep: bool) -> AnyAnswer:
    session.set(now)
    told = answer(now, [name])
    if not keep:
        return told
    from dataclasses import replace

    from inspector.shell import config

    return replace(told, notes=(*told.notes, f"kept in {config.keep(now, name, key)}"))
