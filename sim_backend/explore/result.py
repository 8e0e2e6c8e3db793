"""What an exploration found."""

from __future__ import annotations

from typing import Any

from structs.frozen import frozen

HOLDS, BROKEN, SEEN, NOT_SEEN, UNKNOWN = "holds", "broken", "seen", "not seen", "unknown"


@frozen
class Verdict:
    """What became of a property.

    Attributes:
        verdict: `holds` (in all states, and all were visited), `broken`, `seen`, `not seen`, or `unknown` (not all
            states were visited, and in those that were there is no reason to say more).
        why: how it is broken, in words.
        moves: a shortest history to where it is broken or seen: what the actions noted, in order.
        cycle: for a property that is `eventually` true: whether the history ends in a cycle that goes on for ever.
    """

    name: str
    kind: str
    verdict: str
    why: str | None = None
    moves: tuple[Any, ...] | None = None
    cycle: bool = False


@frozen
class Result:
    """What an exploration found.

    Attributes:
        exhausted: every state that can be reached was visited.
        stopped: why not, else None.
        states, transitions, depth: how many there were; the longest of the shortest histories has `depth` actions.
        runs: how often an action had to be run; all else was looked up.
        seconds: how long it took.
        bytes_per_state: memory, all included.
    """

    exhausted: bool
    stopped: str | None
    states: int
    transitions: int
    depth: int
    runs: int
    seconds: float
    bytes_per_state: float
    verdicts: tuple[Verdict, ...]

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """The properties that are broken."""
        return tuple(verdict for verdict in self.verdicts if verdict.verdict == BROKEN)
