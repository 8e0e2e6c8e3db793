"""Sets of CPUs as Xen prints them: `{0-3,8}` or a hexadecimal mask, `00000000,0000000f`."""

from __future__ import annotations

import re

LISTED = r"\{[\d,\- ]*\}"
MASK = r"[0-9a-f,]+"
LIMIT = 1 << 16


def cpus(text: str) -> tuple[int, ...] | None:
    """The CPUs of a set; None if the text is none."""
    if text.startswith("{"):
        return _listed(text.strip("{}"))
    if not re.fullmatch(MASK, text):
        return None
    mask = int(text.replace(",", "") or "0", 16)
    return tuple(cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1)


def _listed(text: str) -> tuple[int, ...] | None:
    found: list[int] = []
    for part in filter(None, text.replace(" ", "").split(",")):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        if not match:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < LIMIT:
            return None
        found.extend(range(first, last + 1))
    return tuple(found)
