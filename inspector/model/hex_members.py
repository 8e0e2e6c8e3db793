"""Which members of the documents are hexadecimal strings: numbers that other programs would round.

JavaScript and jq keep 53 bits of a number. So what may have more, an address, a register, a mask, is a string such as
"0xffff830000000000" wherever a member of that name is; all other numbers are numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

EXACT = (1 << 53) - 1
"""The largest number that all programs keep."""

MEMBERS = frozenset(
    (
        *("address", "base", "limit", "nodes", "head_address", "register_base", "page_table", "phys_start", "pi_desc"),
        *("rip", "rsp", "eflags", "cs", "cr3", "value", "pause_flags", "status", "reserved"),
        *("addr", "fi", "fla", "iqa", "irta", "pda", "phmb", "phml", "pqa", "rta", "status_address", "undecoded"),
    )
)
"""Their names. Of a decoded record's fields: those wider than 32 bits, but PIR, which is a list of vectors."""


@cache
def is_hexadecimal(name: str) -> bool:
    """Whether members of that name are such strings: MEMBERS, and a decoded record's reserved fields."""
    return name in MEMBERS or name.startswith(("rsvd_", "undecoded_"))


def hexed(value: Any, name: str = "") -> Any:
    """A document, or a part of one that is a member of this name, with these members as strings.

    >>> hexed({"base": 0x1000, "size": 4096, "nodes": [1 << 63], "mask": 1 << 60})
    {'base': '0x1000', 'size': 4096, 'nodes': ['0x8000000000000000'], 'mask': '0x1000000000000000'}
    """
    kind = value.__class__
    if kind is dict:
        return {key: hexed(item, key) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [hexed(item, name) for item in value]
    if kind is not bool and isinstance(value, int) and (is_hexadecimal(name) or not -EXACT <= value <= EXACT):
        return f"{value:#x}"
    return value


def numbers(value: Any, name: str = "") -> Any:
    """The inverse of `hexed`, for these members.

    >>> numbers({"base": "0x1000", "nodes": ["0x40"], "name": "0x1"})
    {'base': 4096, 'nodes': [64], 'name': '0x1'}
    """
    if isinstance(value, dict):
        return {key: numbers(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers(item, name) for item in value]
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") and is_hexadecimal(name) else value
