"""Lists and tables as values that can be compared and hashed."""

from __future__ import annotations

from typing import Any

from sim_backend.explore.model import Value

TABLE = "table"


def freeze(value: Any) -> Value:
    """A value that can be compared and hashed."""
    if isinstance(value, list):
        return tuple(map(freeze, value))
    if isinstance(value, dict):
        return (TABLE, *sorted((key, freeze(item)) for key, item in value.items()))
    return value


def thaw(value: Any) -> Any:
    """What was frozen, to be changed."""
    if not isinstance(value, tuple):
        return value
    if value[:1] == (TABLE,):
        return {key: thaw(item) for key, item in value[1:]}
    return list(map(thaw, value))
