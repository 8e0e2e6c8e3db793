"""What short names mean: situations of a vCPU, hazards in the model of Xen, bugs of Xen that were mended.

>>> entry("zoo-03").title
'a notification is suppressed by a softirq bit'
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from inspector.analysis.situation import SITUATIONS

SITUATION, HAZARD, BUG = "situation", "hazard", "mended bug"
KINDS = {"S": SITUATION, "H": HAZARD, "Z": BUG}


@dataclass(frozen=True)
class Entry:
    """A name and what it means.

    Attributes:
        kind: `situation`, `hazard` (in the model: not confirmed by anyone) or `mended bug`.
        versions: of Xen that have it, in words; empty for a situation.
    """

    name: str
    kind: str
    title: str
    text: str
    versions: str = ""


@cache
def entries() -> Mapping[str, Entry]:
    """All of them by name, in order."""
    text = files("inspector.analysis").joinpath("glossary.toml").read_text("utf-8")
    return {
        name: Entry(name, KINDS[name[0]], said.get("title") or SITUATIONS[name], said["text"], said.get("versions", ""))
        for name, said in tomllib.loads(text).items()
    }


def entry(name: str) -> Entry | None:
    """What a name means, upper or lower case; None if it is none of these."""
    return entries().get(name.upper())
