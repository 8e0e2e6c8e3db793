"""Lists and tables as values that can be compared and hashed."""

from __future__ import annotations

from typing import Any

from sim_backend.explore.model import Value

TABLE = "table"


def frozen(value: Any) -> Value:
    """A value that can be compared and hashed."""
    if isinstance(value, list):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return (TABLE, *sorted((key, frozen(item)) for key, item in value.items()))
    return value


def thawed(value: Any) -> Any:
    """What was frozen, to be changed."""
    if not isinstance(value, tuple):
        return value
    if value[:1] == (TABLE,):
        return {key: thawed(item) for key, item in value[1:]}
    return list(map(thawed, value))
