"""Where a user's files are, by the XDG base directory specification."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from inspector.base.errors import VtdpiError


class NoHome(VtdpiError):
    """No place for the user's files is known."""


def config() -> Path:
    """What the user sets: `$XDG_CONFIG_HOME/vtdpi`. Raises NoHome."""
    return _place("XDG_CONFIG_HOME", ".config")


def state() -> Path:
    """What vtdpi remembers: `$XDG_STATE_HOME/vtdpi`. Raises NoHome."""
    return _place("XDG_STATE_HOME", ".local/state")


def cache() -> Path:
    """What can be made or fetched again: `$XDG_CACHE_HOME/vtdpi`. Raises NoHome."""
    return _place("XDG_CACHE_HOME", ".cache")


def runtime() -> Path | None:
    """The user's own directory for sockets, `$XDG_RUNTIME_DIR`, if there is one."""
    return _absolute("XDG_RUNTIME_DIR")


def _place(variable: str, default: str) -> Path:
    base = _absolute(variable)
    if base is None:
        home = _absolute("HOME") or _home_in_passwd()
        if home is None:
            raise NoHome(f"no home directory is known for user {os.getuid()}: set HOME or {variable}")
        base = home / default
    return base / "vtdpi"


def _absolute(variable: str) -> Path | None:
    # The specification has a path that is not absolute ignored.
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else None


def _home_in_passwd() -> Path | None:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None
