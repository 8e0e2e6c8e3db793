"""A log of Xen's console as a target: what its debug keys and its messages tell of one boot.

Sources of the formats: `vtd_dump_iommu_info`, `dump_msi`, `dump_irqs`, `print_IO_APIC`, `dump_pci_devices`,
`dump_domains`, `iommu_page_fault_do_one`, `acpi_parse_dmar`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from inspector.base.errors import TargetError, UsageError
from inspector.model.absence import unreadable
from inspector.model.snapshot import Snapshot
from inspector.targets.recorded.console.answers import BootLines, boots, parted, wanted
from inspector.targets.recorded.console.decoding import decoded
from inspector.targets.recorded.console.lines import lines, unmarked
from inspector.targets.recorded.console.source import Text, texts
from inspector.targets.recorded.console.to_snapshot import snapshot
from inspector.targets.recorded.recorded import RecordedTarget
from structs.frozen import frozen

EXPECTED = "none of its debug keys V, M, i, z, Q or q, no VT-d fault and no boot message"

BOOTS_TOLD = 4
"""Of how many other boots it is said what they hold."""

Tell = Callable[[int], None]


class NoLog(TargetError):
    """Nothing of Xen's is in a text."""


class ConsoleLog(RecordedTarget):
    """One boot of a log. `warnings` tell of its other boots, and of answers that are not the last."""

    def __init__(self, description: str, snapshot: Snapshot, path: str, boot: BootLines) -> None:
        super().__init__(description, snapshot, path)
        self._boot = boot

    @property
    def woken(self) -> int | None:
        """The line at which the machine last woke from sleep; None if it did not."""
        return self._boot.woken[-1] if self._boot.woken else None

    def parted(self, line: int) -> tuple[Snapshot, Snapshot]:
        """What the boot's keys and messages say before a line of the log, and what from there on.

        Raises:
            UsageError: no key's answer stands on one of its sides.
        """
        before, after = parted(self._boot, line)
        for where, part in (("before", before), ("after", after)):
            if not part.keys:
                raise UsageError(f"{self.description}: no debug key's answer stands {where} line {line}")
        first, _ = snapshot(f"{self.description} before line {line}", before)
        second, _ = snapshot(f"{self.description} from line {line} on", after)
        return first, second


@frozen
class _Found:
    """A text with something of Xen's in it."""

    name: str
    boots: list[BootLines]
    problem: str

    @property
    def weight(self) -> tuple[int, int]:
        """How much it tells: how many keys, and how many lines."""
        keys = {key for boot in self.boots for key in boot.keys}
        return len(keys), sum(
            len(lines) for boot in self.boots for answers in boot.answers.values() for lines in answers
        )


def console_log(
    path: str | os.PathLike[str], boot: int | None = None, name: str | None = None, tell: Tell = lambda count: None
) -> ConsoleLog:
    """What a log tells of its last boot, or of boot number `boot`, from 1. `name` is what messages call the file.

    Raises:
        TargetError: it cannot be read; NoLog if nothing of Xen's is in it.
        UsageError: it has no such boot.
    """
    name = name or os.fspath(path)
    found, damage = _read_all(os.fspath(path), name, tell)
    if not found:
        found, damage = _read_all(os.fspath(path), name, tell, marked=False)
    if not found and damage:
        raise TargetError("; ".join(damage))
    if not found:
        raise NoLog(f"{name} has {EXPECTED} of Xen's in it")
    best = max(found, key=lambda told: told.weight)
    number = len(best.boots) if boot is None else boot
    if not 1 <= number <= len(best.boots):
        raise UsageError(f"{best.name} has {_count(len(best.boots), 'boot')}; there is no boot {boot}")
    description = f"console log {best.name}"
    shown, notes = snapshot(description, best.boots[number - 1])
    problems = [unreadable("log", problem) for problem in (best.problem, *damage) if problem]
    if problems:
        shown = replace(shown, absent=(*problems, *shown.absent))
    target = ConsoleLog(description, shown, os.fspath(path), best.boots[number - 1])
    target.warnings = [*_other_texts(found, best), *_other_boots(best.boots, number), *notes]
    return target


def _read_all(path: str, name: str, tell: Tell, marked: bool = True) -> tuple[list[_Found], list[str]]:
    """What each text of a file tells, and what of the file is damaged beyond reading."""
    found, damage = [], []
    for text in texts(path, name):
        if told := _read(text, tell, marked):
            found.append(told)
        elif text.problem:
            damage.append(text.problem)
    return found, damage


def _read(text: Text, tell: Tell, marked: bool = True) -> _Found | None:
    if not text.is_text:
        return None
    pieces = decoded(text.chunks(tell))
    found = boots((lines if marked else unmarked)(pieces, wanted))
    return _Found(text.name, found, text.problem) if found else None


def _other_texts(found: list[_Found], best: _Found) -> list[str]:
    others = [told.name.rpartition(":")[2] for told in found if told is not best]
    return [f"shown is {best.name}, which tells most; lines of Xen's are also in {', '.join(others)}"] if others else []


def _other_boots(found: list[BootLines], number: int) -> list[str]:
    if len(found) == 1:
        return []
    others = [f"boot {at} has {_answers(boot)}" for at, boot in enumerate(found, 1) if at != number]
    if len(others) > BOOTS_TOLD:
        others = [*others[-BOOTS_TOLD:], f"and {len(others) - BOOTS_TOLD} before"]
    return [f"the log holds {len(found)} boots, shown is boot {number} (--boot N for another); {'; '.join(others)}"]


def _answers(boot: BootLines) -> str:
    return f"answers to {', '.join(boot.keys)}" if boot.keys else "no debug key's answer"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
