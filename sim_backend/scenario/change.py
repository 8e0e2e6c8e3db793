"""What a named change of a version is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from structs.frozen import frozen


@frozen
class Change:
    """A named change of a version.

    Attributes:
        name: by which it is asked for.
        title: in a few words.
        what: what is done differently, and what comes of it.
        apply: the fields of Version that it sets.
        scenario: the bundled scenario whose exploration tells it from a version without it.
    """

    name: str
    title: str
    what: str
    apply: Mapping[str, bool]
    scenario: str


@frozen
class Bug(Change):
    """A bug.

    Attributes:
        fixed_in: which commit and first release mended it, in Xen or, a cousin, elsewhere; None: nobody is known to
            have had it.
        hidden_by: without these repairs, its scenario breaks the same property with the bug and without it.
        base: the version whose exploration shows it.
    """

    fixed_in: str | None = None
    hidden_by: tuple[str, ...] = ()
    base: str = "current"


C = TypeVar("C", bound=Change)


def by_name(*changes: C) -> dict[str, C]:
    """Changes by their names."""
    return {change.name: change for change in changes}
