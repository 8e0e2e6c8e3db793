"""How well a Xen is known of whose build there is no profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from inspector.profiles.image import Image
from inspector.xen import selfcheck
from inspector.xen.selfcheck import Verdict
from structs.frozen import frozen


@frozen
class Knowledge:
    """What is known of a Xen without a profile of its build, and how well: by structure, what the self-check made.

    `map` is the file that symbols besides its own are from.
    """

    image: Image
    verdicts: Mapping[str, Verdict]
    map: Path | None = None

    @property
    def score(self) -> dict[str, int]:
        """How many members are proved, consistent and unknown."""
        return selfcheck.score(self.verdicts.values())

    @property
    def unknown(self) -> list[str]:
        """The members that are not known, such as `pirq.arch.irq`."""
        return [
            f"{struct}.{path}"
            for struct, verdict in self.verdicts.items()
            for path, state in verdict.states.items()
            if state == selfcheck.UNKNOWN
        ]

    @property
    def builds(self) -> list[str]:
        """The known builds that fit in every structure of which anything is known, nearest first."""
        known = [verdict.builds for verdict in self.verdicts.values() if verdict.layout]
        return [build for build in dict.fromkeys(known[0]) if all(build in one for one in known)] if known else []

    def __str__(self) -> str:
        """`39 members of its structures proved, 46 consistent, 11 unknown`."""
        score = self.score
        return (
            f"{score[selfcheck.PROVED]} members of its structures proved, {score[selfcheck.CONSISTENT]} consistent, "
            f"{score[selfcheck.UNKNOWN]} unknown"
        )
