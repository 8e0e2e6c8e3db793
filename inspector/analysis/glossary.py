"""What names mean: situations of a vCPU, hazards in the model of Xen, bugs of Xen that were mended; and words: a
descriptor's fields, run states, the columns of tables, fault reasons.

>>> entry("zoo-03").title
'a notification is suppressed by a softirq bit'
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from inspector.analysis.situation import SITUATIONS
from structs.faults import INTERRUPT_REASONS, REASONS
from structs.frozen import frozen

SITUATION, HAZARD, BUG = "situation", "hazard", "mended bug"
KINDS = {"S": SITUATION, "K": SITUATION, "H": HAZARD, "Z": BUG}
WORD_KINDS = ("word", "letter", "run state", "column")
FAULT_REASON = "fault reason"


@frozen
class Entry:
    """A name and what it means.

    Attributes:
        kind: `situation`, `hazard` (in the model: not confirmed by anyone), `mended bug`, or one of WORD_KINDS.
        versions: of Xen that have it, in words; empty if that is no question.
    """

    name: str
    kind: str
    title: str
    text: str
    versions: str = ""


@cache
def entries() -> Mapping[str, Entry]:
    """The situations, hazards and mended bugs by name, in order."""
    return {
        name: Entry(name, KINDS[name[0]], said.get("title") or SITUATIONS[name], said["text"], said.get("versions", ""))
        for name, said in _file("glossary").items()
    }


@cache
def words() -> Mapping[str, Entry]:
    """Words, letters, run states and columns by name, in order."""
    return {name: Entry(name, said["kind"], said["title"], said["text"]) for name, said in _file("words").items()}


def _file(name: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(files("inspector.analysis").joinpath(f"{name}.toml").read_text("utf-8"))


def entry(name: str) -> Entry | None:
    """What a name, a word or a fault reason (0x26) means, upper or lower case; None if it is none of these."""
    return entries().get(name.upper()) or words().get(name.upper()) or _fault_reason(name)


def _fault_reason(name: str) -> Entry | None:
    try:
        code = int(name, 16) if name.lower().startswith("0x") else None
    except ValueError:
        return None
    if code is None or code not in REASONS:
        return None
    reason = REASONS[code]
    recorded = {
        None: "",
        True: " FPD=1 in the entry keeps it from being recorded.",
        False: " It is recorded whatever the entry's FPD is.",
    }[reason.fpd_suppresses]
    about = "an interrupt request" if code in INTERRUPT_REASONS else "DMA"
    text = f"A remapping unit refused {about}.{recorded} `faults` lists what was refused, with owner and advice."
    return Entry(f"{code:#04x}", FAULT_REASON, reason.text, text)
