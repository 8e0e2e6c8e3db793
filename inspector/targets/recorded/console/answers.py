"""A log's lines, sorted: which boot, which debug key, which answer to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from inspector.targets.recorded.console import (
    boot,
    faults,
    key_domains,
    key_ioapic,
    key_irq,
    key_msi,
    key_pci,
    key_vtd,
    trouble,
)
from inspector.targets.recorded.console.key import Key
from inspector.targets.recorded.console.lines import Line

T = TypeVar("T")

KEYS: tuple[Key[object], ...] = (  # type: ignore[assignment]
    key_vtd.KEY,
    key_irq.KEY,
    key_msi.KEY,
    key_domains.KEY,
    key_pci.KEY,
    key_ioapic.KEY,
    faults.KEY,
    boot.KEY,
    trouble.KEY,
)
NEW_BOOT = boot.VERSION
SHOW_VERSION = re.compile(r"'\?' pressed -> showing system information|'h' pressed")
"""Keys that print the version line in the middle of a boot."""


WOKEN = re.compile(r"Finishing wakeup from ACPI S\d state")
"""Printed in the middle of a boot, when the machine has slept (xen/arch/x86/acpi/power.c)."""


def _ungrouped(pattern: str) -> str:
    """A pattern without groups, so that it can be one alternative of many."""
    return re.sub(r"(?<!\\)\((?:\?P<\w+>|(?!\?))", "(?:", pattern)


BELONGS = re.compile(
    "|".join(f"(?P<k{number}>{_ungrouped(key.belongs.pattern)})" for number, key in enumerate(KEYS))
    + f"|(?P<version>{SHOW_VERSION.pattern})|(?P<woken>{WOKEN.pattern})"
)
"""Any line that says something here; the group's name tells which key's it is."""


@lru_cache(maxsize=1)
def wanted(text: str) -> re.Match[str] | None:
    """Whether a line says anything here, and to which key; who reads a line asks, and at once who sorts it."""
    return BELONGS.match(text)


@dataclass
class BootLines:
    """What one boot printed.

    Attributes:
        answers: by key's name, its answers in order, each as its lines.
        woken: the numbers of the lines where it woke from sleep.
    """

    answers: dict[str, list[list[Line]]] = field(default_factory=dict)
    woken: list[int] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The debug keys that were answered."""
        return [key.name for key in KEYS if len(key.name) == 1 and key.name in self.answers]


def boots(lines: Iterable[Line]) -> list[BootLines]:
    """Each boot's lines. A "Xen version" line begins one, unless a key asked for it."""
    found = [BootLines()]
    shown_by_key = False
    for line in lines:
        match = wanted(line.text)
        if match and match.lastgroup == "woken":
            found[-1].woken.append(line.number)
            continue
        if not match or match.lastgroup == "version":
            shown_by_key = bool(match)
            continue
        key = KEYS[int(str(match.lastgroup)[1:])]
        if key is boot.KEY and NEW_BOOT.match(line.text) and not shown_by_key and found[-1].answers:
            found.append(BootLines())
        shown_by_key = False
        answers = found[-1].answers.setdefault(key.name, [])
        if not answers or key.begins(line.text, answers[-1]):
            answers.append([])
        answers[-1].append(line)
    return [boot for boot in found if boot.answers]


def parted(whole: BootLines, line: int) -> tuple[BootLines, BootLines]:
    """What a boot printed before a line, and what from there on; what it printed while it booted holds for both."""
    before, after = BootLines(), BootLines()
    for key, answers in whole.answers.items():
        for part, is_in in ((before, lambda at: at.number < line), (after, lambda at: at.number >= line)):
            kept = answers if key == boot.KEY.name else [[*filter(is_in, answer)] for answer in answers]
            if found := [answer for answer in kept if answer]:
                part.answers[key] = found
    return before, after


def chosen(key: Key[T], answers: Sequence[Sequence[Line]]) -> tuple[T, list[str], list[str]]:
    """The facts of the last answer that is whole, else of the last one; notes; problems.

    Each is compared with the one before it. Only as many are read as it takes: a log may have hundreds.
    """
    last = read = key.read(answers[-1])
    why = ""
    for number in reversed(range(len(answers))):
        before = key.read(answers[number - 1]) if number else None
        reason = key.cut(read, before)
        if reason is None:
            shown = f"; shown is the one at line {answers[number][0].number}"
            return read, [why + shown] if why else [], []
        why = why or f"the answer to {key.name} at line {answers[number][0].number} is not whole ({reason})"
        if before is not None:
            read = before
    return last, [], [why]
