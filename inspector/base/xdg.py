"""Where a user's files are, by the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path


def config() -> Path:
    """What the user sets: `$XDG_CONFIG_HOME/vtdpi`."""
    return _home("XDG_CONFIG_HOME", ".config")


def state() -> Path:
    """What vtdpi remembers: `$XDG_STATE_HOME/vtdpi`."""
    return _home("XDG_STATE_HOME", ".local/state")


def _home(variable: str, default: str) -> Path:
    base = os.environ.get(variable, "")
    # The specification has a path that is not absolute ignored.
    return (Path(base) if base.startswith("/") else Path.home() / default) / "vtdpi"
