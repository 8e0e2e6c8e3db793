"""What can go wrong in the simulated machine, said in one line."""

from __future__ import annotations


class SimError(Exception):
    """The machine cannot be built or driven as asked: what was expected, what was found, what to do."""


class Inconsistent(SimError):
    """A machine from a file cannot move: no machine gets into a state such as its own."""
