"""What can go wrong in the simulated machine, said in one line."""

from __future__ import annotations


class SimError(Exception):
    """The machine cannot be built or driven as asked: what was expected, what was found, what to do."""


class FileError(SimError):
    """A file cannot be read, is damaged, or holds something else than the scenario, history or machine expected."""


class Inconsistent(FileError):
    """A machine from a file cannot move: no machine gets into a state such as its own."""
