"""What is not there to be shown, and why: a value, so that every command can tell it alike."""

from __future__ import annotations

from collections.abc import Iterable

from structs.frozen import frozen

UNREADABLE = "unreadable"
"""It should be there, and could not be read: memory that is not held, a pointer that leads nowhere, a damaged line."""

NOT_APPLICABLE = "not applicable here"
"""This kind of target, or this build of Xen, has no such thing: a dump has no device registers."""

NOT_PRINTED = "not printed by this source"
"""Whoever wrote the file does not tell it: no debug key prints a posted-interrupt descriptor."""

KINDS = (UNREADABLE, NOT_APPLICABLE, NOT_PRINTED)


@frozen
class Absence:
    """Something that is not there to be shown.

    Attributes:
        kind: one of KINDS.
        subject: what lacks it, as findings name it: `unit 0`, `d1v2`, `CPU 1`, `domains`, `line 12`.
        why: the reason; a whole sentence if it begins with the subject.
        member: which member of the subject's record in the snapshot is missing; empty if it is more than one.
        address: where it would be: physical, or Xen's virtual one, as `why` says; None if that is not known.
    """

    kind: str
    subject: str
    why: str
    member: str = ""
    address: int | None = None

    def __str__(self) -> str:
        return self.why if self.why.startswith(self.subject) else f"{self.subject}: {self.why}"


def unreadable(subject: str, why: object, member: str = "", address: int | None = None) -> Absence:
    """What should be there and could not be read. An error's own address is taken if none is given."""
    found = getattr(why, "address", None) if address is None else address
    return Absence(UNREADABLE, subject, str(why), member, found if isinstance(found, int) else None)


def lines(absences: Iterable[Absence]) -> tuple[str, ...]:
    """What could not be read though it should be there, a line each."""
    return tuple(str(absence) for absence in absences if absence.kind == UNREADABLE)
